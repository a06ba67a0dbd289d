package proxy

import (
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

func stickyService(v *lb.Service) {
	v.HTTP.Sticky = lb.Sticky{Cookie: "lb", Key: "0123456789abcdef", TTL: time.Hour, HTTPOnly: true, SameSite: "Lax"}
}

// asks sends a request with a cookie and returns the backend's number and the
// cookie that comes back.
func (th *theatre) asks(cookie string) (backend byte, set string) {
	th.Helper()
	k := th.accept()
	k.says("GET / HTTP/1.1\r\nHost: h\r\nCookie: a=b; lb="+cookie+"; c=d\r\n\r\n", 0)
	s := th.serving(k)
	if s == nil {
		return 0, ""
	}
	s.says(hello, 0)
	return s.addr.Addr().As4()[3], cookieIn(k.took())
}

func cookieIn(answer string) string {
	_, rest, _ := strings.Cut(answer, "\r\nSet-Cookie: lb=")
	value, _, _ := strings.Cut(rest, ";")
	return value
}

func TestAClientStaysAtTheBackendOfItsCookie(t *testing.T) {
	th := newTheatre(t, 3, stickyService)
	_, answer := th.sent(request("/"))
	cookie := cookieIn(answer)
	if !strings.Contains(answer, "; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax\r\n") || cookie == "" {
		t.Fatalf("%q", answer)
	}
	for range 5 {
		if backend, set := th.asks(cookie); backend != 1 || set != "" {
			t.Errorf("backend %d, cookie %q", backend, set)
		}
	}
	if _, set := th.asks("forged" + cookie); set == "" {
		t.Error("a forged cookie is taken for one")
	}
	conf := th.conf("web", 1, 2, 3)
	conf.Backends[0].Admin = lb.Draining
	th.serve(conf)
	if backend, set := th.asks(cookie); backend != 1 || set != "" {
		t.Errorf("draining: backend %d, cookie %q", backend, set)
	}
	conf = th.conf("web", 1, 2, 3)
	conf.Backends[0].Admin, conf.Backends[0].Health = lb.Enabled, lb.Down
	th.serve(conf)
	backend, moved := th.asks(cookie)
	if backend == 1 || moved == "" {
		t.Errorf("down: backend %d, cookie %q", backend, moved)
	}
	if again, set := th.asks(moved); again != backend || set != "" {
		t.Errorf("moved: backend %d then %d, cookie %q", backend, again, set)
	}
	th.idle()
}

func TestARetryMovesTheClient(t *testing.T) {
	th := newTheatre(t, 2, stickyService)
	_, answer := th.sent(request("/"))
	cookie := cookieIn(answer)
	k := th.accept()
	k.says("GET / HTTP/1.1\r\nHost: h\r\nCookie: lb="+cookie+"\r\n\r\n", 0)
	th.dialled[0].backend.EOF() // a kept connection may have been closed
	th.last().backend.Closed(errReset)
	s := th.connected()
	s.says(hello, 0)
	if set := cookieIn(k.took()); s.addr.Addr().As4()[3] != 2 || set == "" || set == cookie {
		t.Errorf("at %s: cookie %q", s.addr, set)
	}
	th.idle()
}
