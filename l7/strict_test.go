package l7

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// hijack answers with raw bytes.
func hijack(t *testing.T, w http.ResponseWriter, answer string) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	io.WriteString(c, answer)
}

func TestAnIdempotencyKeyDoesNotMakeUsSendAPostTwice(t *testing.T) {
	// net/http's Transport takes the field for leave to repeat a request by itself.
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			var posts atomic.Int64
			l.backend(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					posts.Add(1)
					if r.Header.Get(name) != "order-7" {
						t.Errorf("%s arrived as %q", name, r.Header.Get(name))
					}
					hangUp(w, r)
				}
			})
			s := l.service("web", lb.RoundRobin)
			l.apply()
			l.get(s) // leaves a connection to be reused
			resp := l.raw(s, "POST /order HTTP/1.1\r\nHost: x\r\n"+name+": order-7\r\nContent-Length: 0\r\n\r\n")
			if resp.StatusCode != 502 || posts.Load() != 1 {
				t.Errorf("%d, and the backend got %d POSTs, want 502 and one", resp.StatusCode, posts.Load())
			}
		})
	}
}

func TestAClientOfHTTP10GetsOneAnswerPerConnection(t *testing.T) {
	// RFC 9112, 9.3: a proxy must not keep an HTTP/1.0 client's connection. 6.1: nor
	// may it believe Transfer-Encoding there: such a request is refused.
	l := newLab(t)
	var paths atomic.Value
	paths.Store("")
	l.backend(func(_ http.ResponseWriter, r *http.Request) { paths.Store(paths.Load().(string) + r.URL.Path + " ") })
	s := l.service("web", lb.RoundRobin)
	l.apply()
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, request := range []string{
		"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + smuggled,
		"POST /b HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled),
		"POST /c HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + smuggled,
	} {
		c := rawDial(t, s.VIP.Addr)
		io.WriteString(c, request)
		answer, _ := io.ReadAll(c) // a reset counts as an end
		if n := strings.Count(string(answer), "HTTP/1.1 "); n > 1 || !strings.Contains(string(answer), "Connection: close") {
			t.Errorf("%d answers to %.40q:\n%s", n, request, answer)
		}
	}
	if got := paths.Load().(string); got != "/a " {
		t.Errorf("the backend saw %s", got)
	}
}

func TestAStatusBelow100IsNoAnswer(t *testing.T) {
	l := newLab(t)
	l.backend(func(w http.ResponseWriter, _ *http.Request) {
		hijack(t, w, "HTTP/1.1 042 Odd\r\nContent-Length: 0\r\n\r\n")
	})
	s := l.service("web", lb.RoundRobin)
	l.apply()
	if resp := l.raw(s, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != 502 {
		t.Errorf("%d", resp.StatusCode)
	}
	eventually(t, time.Second, func() error { // the client may have its answer before all is counted
		if c, b := l.counters(s); c.Errors != 1 || b[0].Errors != 1 || c.Active+b[0].Active != 0 {
			return fmt.Errorf("service %+v, backend %+v", c, b[0])
		}
		return nil
	})
}
