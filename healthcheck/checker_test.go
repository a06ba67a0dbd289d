package healthcheck

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"lbctl/internal/lb"
)

func direct(ctx context.Context, network, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, addr)
}

// check runs one probe of the server at addr.
func check(t *testing.T, c lb.Check, addr string, timeout time.Duration) error {
	t.Helper()
	checker, err := newChecker(c, netip.MustParseAddrPort(addr), direct)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return checker.Check(ctx)
}

func wantReason(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("check failed: %v", err)
	case want != "" && err == nil:
		t.Errorf("check succeeded, want %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("reason %q does not hold %q", err, want)
	}
}

func TestHTTPCheckJudges(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("X-Zone", "a")
		w.Header().Add("X-Zone", "b")
		fmt.Fprint(w, "all is well")
	})
	mux.HandleFunc("/404", http.NotFound)
	mux.HandleFunc("/503", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/503", http.StatusFound) })
	mux.HandleFunc("/early", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(200)
	})
	mux.HandleFunc("/host", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host, " ", r.UserAgent(), " ", r.Method) })
	mux.HandleFunc("/long", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", bodyLimit)+"needle")
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/stall", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "begun")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	addr := server.Listener.Addr().String()

	tests := []struct {
		name  string
		probe lb.HTTPProbe
		want  string // part of the reason; empty: success
	}{
		{"an answer of 200", lb.HTTPProbe{Path: "/ok"}, ""},
		{"HEAD", lb.HTTPProbe{Path: "/ok", Method: "HEAD"}, ""},
		{"a missing page", lb.HTTPProbe{Path: "/404"}, "status 404, want 200-399"},
		{"a missing page that is asked for", lb.HTTPProbe{Path: "/404", StatusMin: 404, StatusMax: 404}, ""},
		{"a failing server", lb.HTTPProbe{Path: "/503"}, "GET http://" + addr + "/503: status 503"},
		{"a redirect, which is not followed", lb.HTTPProbe{Path: "/moved"}, ""},
		{"a redirect outside the range", lb.HTTPProbe{Path: "/moved", StatusMin: 200, StatusMax: 299}, "status 302"},
		{"early hints before the answer", lb.HTTPProbe{Path: "/early", StatusMin: 200, StatusMax: 200}, ""},
		{"a header, any of its values", lb.HTTPProbe{Path: "/ok", Header: map[string]string{"x-zone": "^b$"}}, ""},
		{"a header that differs", lb.HTTPProbe{Path: "/ok", Header: map[string]string{"X-Zone": "^c$"}}, `header X-Zone ["a" "b"] does not match "^c$"`},
		{"a header that is not there", lb.HTTPProbe{Path: "/ok", Header: map[string]string{"X-None": "."}}, "header X-None"},
		{"a body", lb.HTTPProbe{Path: "/ok", Body: "is w.ll"}, ""},
		{"a body that differs", lb.HTTPProbe{Path: "/ok", Body: "ill"}, `does not match "ill"`},
		{"a body's first 64 KiB", lb.HTTPProbe{Path: "/long", Body: "^x+$"}, ""},
		{"a body's end beyond 64 KiB", lb.HTTPProbe{Path: "/long", Body: "needle"}, "body (65536 bytes read) does not match"},
		{"the Host, the User-Agent and the method sent", lb.HTTPProbe{Path: "/host", Host: "shop.test", Body: "^shop.test lbctl-check GET$"}, ""},
		{"the address as Host", lb.HTTPProbe{Path: "/host", Body: "^" + addr}, ""},
		{"no answer in time", lb.HTTPProbe{Path: "/slow"}, "/slow: timeout"},
		{"no body in time", lb.HTTPProbe{Path: "/stall", Body: "end"}, "read body: timeout"},
		{"a body that nobody asked for may stall", lb.HTTPProbe{Path: "/stall"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantReason(t, check(t, lb.Check{Kind: lb.CheckHTTP, HTTP: tt.probe}, addr, 300*time.Millisecond), tt.want)
		})
	}
}

func TestHTTPCheckConnectsAnewEachTime(t *testing.T) {
	var mu sync.Mutex
	remotes := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		remotes[r.RemoteAddr] = true
	}))
	defer server.Close()
	for range 3 {
		wantReason(t, check(t, lb.Check{Kind: lb.CheckHTTP}, server.Listener.Addr().String(), time.Second), "")
	}
	if len(remotes) != 3 {
		t.Errorf("3 probes came over %d connections", len(remotes))
	}
}

func TestChecksNameWhatWentWrong(t *testing.T) {
	closed := listen(t, nil)
	closed.Close()
	mute := listen(t, func(c net.Conn) { _, _ = bufio.NewReader(c).ReadString('\n') }) // then closes
	garbage := listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH\r\n") })
	endless := listen(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
		for err := error(nil); err == nil; {
			_, err = io.WriteString(c, strings.Repeat("x", 4096))
		}
	})
	for _, tt := range []struct {
		name string
		kind lb.CheckKind
		at   net.Listener
		want string
	}{
		{"tcp to a server", lb.CheckTCP, mute, ""},
		{"tcp to nobody", lb.CheckTCP, closed, "connect " + closed.Addr().String() + ": connection refused"},
		{"http to nobody", lb.CheckHTTP, closed, "connect " + closed.Addr().String() + ": connection refused"},
		{"http to a server that hangs up", lb.CheckHTTP, mute, "/: connection closed before the answer was complete"},
		{"http to something else", lb.CheckHTTP, garbage, "malformed HTTP"},
		{"http to an endless head", lb.CheckHTTP, endless, "connection closed before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantReason(t, check(t, lb.Check{Kind: tt.kind}, tt.at.Addr().String(), time.Second), tt.want)
		})
	}
}

func TestCheckCanProbeAnotherPort(t *testing.T) {
	l := listen(t, func(net.Conn) {})
	port := netip.MustParseAddrPort(l.Addr().String()).Port()
	wantReason(t, check(t, lb.Check{Kind: lb.CheckTCP, Port: port}, "127.0.0.1:1", time.Second), "")
}

func TestValidateRefusesWhatCannotBeRun(t *testing.T) {
	good := lb.Check{Name: "c", Kind: lb.CheckHTTP, Interval: 1, FastInterval: 1, Timeout: 1, Rise: 1, Fall: 1}
	if err := Validate(good); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*lb.Check){
		"check kind":         func(c *lb.Check) { c.Kind = "icmp" },
		"interval":           func(c *lb.Check) { c.Interval = 0 },
		"fast_interval":      func(c *lb.Check) { c.FastInterval = -1 },
		"timeout":            func(c *lb.Check) { c.Timeout = 0 },
		"rise":               func(c *lb.Check) { c.Rise = 0 },
		"fall":               func(c *lb.Check) { c.Fall = 0 },
		"method":             func(c *lb.Check) { c.HTTP.Method = "POST" },
		"path":               func(c *lb.Check) { c.HTTP.Path = "health" },
		"status range":       func(c *lb.Check) { c.HTTP.StatusMin = 500 },
		"header X: error":    func(c *lb.Check) { c.HTTP.Header = map[string]string{"X": "("} },
		"body: error":        func(c *lb.Check) { c.HTTP.Body = "*" },
		"HEAD has no body":   func(c *lb.Check) { c.HTTP.Method, c.HTTP.Body = "HEAD", "x" },
		`invalid control ch`: func(c *lb.Check) { c.HTTP.Path = "/\r\nX: y" },
	} {
		c := good
		spoil(&c)
		wantReason(t, Validate(c), want)
	}
}

// listen serves each connection with f and closes it then.
func listen(t *testing.T, f func(net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); f(c) }()
		}
	}()
	return l
}
