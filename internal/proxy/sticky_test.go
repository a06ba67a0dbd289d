package proxy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/http1"
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

func TestABackendGetsTheClientsCookiesButNotOurs(t *testing.T) {
	for _, c := range []struct{ came, goes string }{
		{"lb=x", ""},
		{"lb=", ""},
		{"lb=x; a=b", "a=b"},
		{"lb=x;a=b;c", "a=b;c"},
		{"a=b; lb=x", "a=b"},
		{"a=b ;\tlb=x", "a=b"},
		{"a=b; lb=x; c=d", "a=b; c=d"},
		{"a=b;  lb=x;   c=d", "a=b;   c=d"},
		{"lb=x; a=b; lb=y", "a=b"},
		{"lb=x; lb=y", ""},
		{"lb=x;", ""},
		{"lb=x; ;", ";"},
		{"a=b; lb=x;", "a=b;"},
		{"lb=x=y; a==\"b\"", "a==\"b\""},
		{"lb", "lb"},
		{"LB=x; xlb=y; lbx=z; lb =x; =lb=x", "LB=x; xlb=y; lbx=z; lb =x; =lb=x"},
		{"a=lb=x; b=\"c; lb=x; d\"", "a=lb=x; b=\"c; d\""}, // nobody reads quotes here
		{"", ""},
		{"a=b;; c", "a=b;; c"},
	} {
		th := newTheatre(t, 1, stickyService)
		k := th.accept()
		k.says("GET / HTTP/1.1\r\nHost: h\r\nX-A: lb=x\r\ncookie: "+c.came+"\r\nX-B: y\r\n\r\n", 0)
		_, fields, _ := strings.Cut(th.serving(k).took(), "Host: h\r\n")
		want := "X-A: lb=x\r\ncookie: " + c.goes + "\r\nX-B: y\r\n"
		if c.goes == "" && c.came != "" {
			want = "X-A: lb=x\r\nX-B: y\r\n"
		}
		if !strings.HasPrefix(fields, want) {
			t.Errorf("%q: the backend got %q, want %q", c.came, fields, want)
		}
	}
	th := newTheatre(t, 1, stickyService)
	_, answer := th.sent(request("/"))
	own := "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\nCookie: lb=" + cookieIn(answer) + "\r\nCookie: c=d\r\n\r\n"
	k := th.accept()
	k.says(own, 0)
	s := th.serving(k)
	if got := s.took(); !strings.Contains(got, "Host: h\r\nCookie: a=b\r\nCookie: c=d\r\nX-F") {
		t.Errorf("of three fields the backend got %q", got)
	}
	s.says(hello, 0)
	if n := testing.AllocsPerRun(100, func() {
		k.client.Data([]byte(own))
		s.out = s.out[:0]
		s.backend.Data([]byte(hello))
		k.out = k.out[:0]
	}); n > 2 { // the test's own two
		t.Errorf("%v allocations", n)
	}
}

// Cookies of other services behind the same address are as little their backends' business.
func TestABackendGetsNoStickyCookieOfAnotherService(t *testing.T) {
	th := newTheatre(t, 1)
	front, api, plain := th.conf("web", 1), th.conf("api", 1), th.conf("plain", 1)
	stickyService(&front)
	stickyService(&api)
	api.HTTP.Sticky.Cookie = "api"
	for path, to := range map[string]string{"/api": "api", "/plain": "plain"} {
		front.Routes = append(front.Routes, lb.Route{Path: lb.PathMatch{Kind: lb.PathPrefix, Value: path}, Service: to})
	}
	th.serve(front, api, plain)
	for _, path := range []string{"/", "/api", "/plain"} {
		k := th.accept()
		k.says("GET "+path+" HTTP/1.1\r\nHost: h\r\nCookie: lb=x; a=b; api=y; web=z\r\n\r\n", 0)
		if got := th.serving(k).took(); !strings.Contains(got, "\r\nCookie: a=b; web=z\r\n") {
			t.Errorf("%s: the backend got %q", path, got)
		}
	}
}

func FuzzCookies(f *testing.F) {
	f.Add("a=b; lb=x; c=d")
	f.Add("lb=x;")
	f.Add(" ;lb=; ;\t;lb=;a")
	f.Fuzz(func(t *testing.T, value string) {
		out, ok := strings.CutPrefix(string(appendOthers(nil, &http1.Field{ID: http1.Cookie, Name: []byte("Cookie"), Value: []byte(value)}, []string{"lb"})), "Cookie: ")
		out, whole := strings.CutSuffix(out, "\r\n")
		if ok != whole {
			t.Fatalf("%q: half a field: %q", value, out)
		}
		var want []string
		for pair := range strings.SplitSeq(value, ";") {
			if !strings.HasPrefix(strings.TrimLeft(pair, " \t"), "lb=") {
				want = append(want, strings.Trim(pair, " \t"))
			}
		}
		if !ok {
			if value == "" || strings.Trim(strings.Join(want, ""), " \t") != "" || len(want) > 1 {
				t.Fatalf("%q: the field is gone", value)
			}
			return
		}
		got := strings.Split(out, ";")
		for i := range got {
			got[i] = strings.Trim(got[i], " \t")
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q became %q", value, out)
		}
		if !strings.Contains(value, "lb=") && out != value {
			t.Fatalf("%q became %q", value, out)
		}
	})
}

func TestTheLogSaysWhoCameBackByItsCookie(t *testing.T) {
	th, l := recorded(t, 3, stickyService)
	_, answer := th.sent(request("/"))
	if r := l.only(t); r.Why != accesslog.ByPolicy {
		t.Errorf("the first request: %v", r.Why)
	}
	cookie := cookieIn(answer)
	th.asks(cookie)
	if r := l.only(t); r.Why != accesslog.Cookie {
		t.Errorf("with its cookie: %v", r.Why)
	}
	th.service.Members[0].Endpoint.Account.Shared().EjectedUntil.Store(th.now + 1)
	th.asks(cookie)
	if r := l.only(t); r.Why != accesslog.ByPolicy {
		t.Errorf("with a cookie of a backend that is ejected: %v", r.Why)
	}
	conf := th.conf("web", 1) // where the policy would have no choice either
	th.serve(conf)
	th.service.Log = l
	th.pass(time.Second)
	th.asks(cookie)
	if r := l.only(t); r.Why != accesslog.Cookie {
		t.Errorf("with the cookie of the only backend: %v", r.Why)
	}
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
