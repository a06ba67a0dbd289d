package l7

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"lbctl/internal/lb"
)

// raw sends a request as typed and returns the response.
func (l *lab) raw(s *lb.Service, request string) *http.Response {
	l.Helper()
	c := rawDial(l, s.VIP.Addr)
	if _, err := io.WriteString(c, request); err != nil {
		l.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		l.Fatal(err)
	}
	return resp
}

func TestRequestHeadersAreAProxys(t *testing.T) {
	l := newLab(t)
	got := make(chan *http.Request, 1)
	l.backend(func(_ http.ResponseWriter, r *http.Request) { got <- r })
	s := l.service("web", lb.RoundRobin)
	l.apply()
	l.raw(s, "GET /a%2fb//c?x=1;y=%zz HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n"+
		"X-Forwarded-Proto: https\r\nVia: 1.0 first\r\nConnection: close, X-Secret, TE\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nUpgrade: websocket\r\n"+
		"Proxy-Authorization: x\r\nTE: gzip, trailers\r\nX-Kept: yes\r\n\r\n")
	r := <-got
	for name, want := range map[string]string{
		"X-Forwarded-For": "192.0.2.1, 192.0.2.2, 127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "shop.example",
		"Via": "1.0 first,1.1 lbctl", "X-Kept": "yes", "Te": "trailers",
		"X-Secret": "", "Keep-Alive": "", "Upgrade": "", "Connection": "TE", "Proxy-Authorization": "", "User-Agent": "", "Accept-Encoding": "",
	} {
		if v := strings.Join(r.Header[name], ","); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	if r.Host != "shop.example" || r.RequestURI != "/a%2fb//c?x=1;y=%zz" {
		t.Errorf("host %q, target %q", r.Host, r.RequestURI)
	}
	l.raw(s, "GET / HTTP/1.0\r\n\r\n")
	if r := <-got; r.Host != s.VIP.Addr.String() || r.Header.Get("Via") != "1.0 lbctl" || r.Header["X-Forwarded-Host"] != nil {
		t.Errorf("HTTP/1.0: host %q, header %v", r.Host, r.Header)
	}
}

func TestResponseHeadersAreAProxys(t *testing.T) {
	l := newLab(t)
	l.backend(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		w.Header().Set("Connection", "X-Inner")
		w.Header().Set("X-Inner", "1")
		w.Header().Set("Keep-Alive", "9")
		w.Header().Set("Proxy-Authenticate", "1")
		w.Header().Add("Set-Cookie", "a")
		w.Header().Add("Set-Cookie", "b")
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "<html>")
	})
	s := l.service("web", lb.RoundRobin)
	l.apply()
	resp := l.raw(s, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	for name, want := range map[string]string{
		"X-Inner": "", "Keep-Alive": "", "Proxy-Authenticate": "", "Content-Type": "", "Set-Cookie": "a,b", "Via": "1.1 lbctl", "X-Server": "s1",
	} {
		if v := strings.Join(resp.Header[name], ","); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	if resp.StatusCode != http.StatusTeapot || resp.ContentLength != 6 {
		t.Errorf("status %d, length %d", resp.StatusCode, resp.ContentLength)
	}
}

func TestWhatTheProxyRefusesItself(t *testing.T) {
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	l.apply()
	for request, want := range map[string]int{
		"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n":                                                      501,
		"GET / HTTP/1.1\r\nHost: x\r\nBig: " + strings.Repeat("x", 80<<10) + "\r\n\r\n":                  431,
		"GET / HTTP/1.1\r\n\r\n":                                                                         400,
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n":                    400,
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n":                         400,
		"GET / HTTP/1.1\r\nHost : x\r\n\r\n":                                                             400,
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n":                                                          200, // the backend's answer
		"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n":                                                             200,
		"GET http://other.example/x HTTP/1.1\r\nHost: x\r\n\r\n":                                         200,
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n": 400, // RFC 9112 6.1 allows it, 6.3 calls it an attack
	} {
		if got := l.raw(s, request).StatusCode; got != want {
			t.Errorf("%.60q: %d, want %d", request, got, want)
		}
	}
}

func TestTrailersPassBothWays(t *testing.T) {
	l := newLab(t)
	l.backend(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s", b)
		w.Header().Set("X-Sum", r.Trailer.Get("X-Check"))
	})
	s := l.service("web", lb.RoundRobin)
	l.apply()
	resp := l.raw(s, "POST / HTTP/1.1\r\nHost: x\r\nTrailer: X-Check\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Check: 42\r\n\r\n")
	b, err := io.ReadAll(resp.Body)
	if err != nil || string(b) != "abc" || resp.Trailer.Get("X-Sum") != "42" {
		t.Errorf("body %q, trailer %v, error %v", b, resp.Trailer, err)
	}
}

func TestContinueIsTheBackends(t *testing.T) {
	l := newLab(t)
	l.backend(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	s := l.service("web", lb.RoundRobin)
	l.apply()
	c := rawDial(t, s.VIP.Addr)
	in := bufio.NewReader(c)
	for _, step := range []struct {
		send string
		want int
	}{{"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", 100}, {"ok", 200}} {
		io.WriteString(c, step.send)
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != step.want {
			t.Fatalf("after %q: %v, %v, want %d", step.send, resp, err, step.want)
		}
	}
}
