package traffic

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func mustGenerate(t *testing.T, l Load) Result {
	t.Helper()
	r, err := Generate(t.Context(), l, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGeneratorCountsEveryRequest(t *testing.T) {
	a, b := startServer(t, ServerConfig{Name: "a", Body: 10}), startServer(t, ServerConfig{Name: "b", Body: 10})
	for _, keep := range []bool{true, false} {
		for _, rate := range []float64{0, 20_000} {
			t.Run(fmt.Sprintf("keep-alive %v, rate %v", keep, rate), func(t *testing.T) {
				r := mustGenerate(t, Load{Targets: []netip.AddrPort{a, b}, Connections: 8, KeepAlive: keep, Rate: rate, Requests: 1000})
				if r.Requests != 1000 || r.Failed() != 0 || r.Latency.Count() != 1000 || r.Servers["a"]+r.Servers["b"] != 1000 {
					t.Errorf("1000 requests gave %+v", r)
				}
				if keep && r.Connections != 8 || !keep && r.Connections != 1000 {
					t.Errorf("made %d connections", r.Connections)
				}
				if !keep && max(r.Servers["a"], r.Servers["b"]) > 510 {
					t.Errorf("not spread evenly: %v", r.Servers)
				}
				if r.BytesIn < 1000*50 || r.BytesOut < 1000*30 || r.CPU <= 0 || r.Elapsed <= 0 {
					t.Errorf("bytes in %d, out %d, CPU %v, elapsed %v", r.BytesIn, r.BytesOut, r.CPU, r.Elapsed)
				}
				if rate > 0 && r.Schedule.Due != 1000 {
					t.Errorf("schedule: %+v", r.Schedule)
				}
			})
		}
	}
}

func TestGeneratorLeavesTheWarmupOut(t *testing.T) {
	addr := startServer(t, ServerConfig{Name: "a"})
	var at []time.Time
	var events []Event
	start := time.Now()
	r, err := Generate(t.Context(), Load{Targets: []netip.AddrPort{addr}, Connections: 2, KeepAlive: true, Rate: 1000, Warmup: 200 * time.Millisecond, Duration: 300 * time.Millisecond},
		func(e Event) { events, at = append(events, e), append(at, time.Now()) })
	if err != nil || len(events) != 2 || events[0] != Measuring || events[1] != Measured {
		t.Fatalf("events %v, error %v", events, err)
	}
	if w := at[0].Sub(start); w < 200*time.Millisecond || w > 290*time.Millisecond {
		t.Errorf("the window began after %v", w)
	}
	if w := at[1].Sub(at[0]); w < 250*time.Millisecond || w > 390*time.Millisecond {
		t.Errorf("the window took %v", w)
	}
	if r.Schedule.Due != 300 || r.Requests != 300 || r.Connections != 0 {
		t.Errorf("300 requests were due after warm-up on old connections: %d due, %d answered, %d connections", r.Schedule.Due, r.Requests, r.Connections)
	}
}

func TestOpenLoopCountsAStallAgainstTheServer(t *testing.T) {
	// One connection, 200 requests/s, and a server that stalls once for 300 ms:
	// a closed loop sees one slow request, the schedule sees all 60 that waited.
	addr := stallingServer(t, 50, 300*time.Millisecond)
	load := Load{Targets: []netip.AddrPort{addr}, Connections: 1, KeepAlive: true, Requests: 200}
	closed := mustGenerate(t, load)
	if p90 := closed.Latency.Quantile(0.9); p90 > 50*time.Millisecond {
		t.Errorf("closed loop: p90 is %v", p90)
	}
	load.Rate = 200
	load.Targets[0] = stallingServer(t, 50, 300*time.Millisecond)
	open := mustGenerate(t, load)
	if p90 := open.Latency.Quantile(0.9); p90 < 100*time.Millisecond {
		t.Errorf("open loop: p90 is %v, the stall was omitted", p90)
	}
	if open.Requests != 200 || open.Schedule.Queued < 40 || open.Schedule.Dropped != 0 {
		t.Errorf("open loop: %d requests, schedule %+v", open.Requests, open.Schedule)
	}
}

// stallingServer answers at once, except that the nth request waits.
func stallingServer(t *testing.T, nth int, stall time.Duration) netip.AddrPort {
	return fakeServer(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		for i := 1; ; i++ {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			if i == nth {
				time.Sleep(stall)
			}
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
				return
			}
		}
	})
}

func TestOpenLoopOwnsUpToWhatItCouldNotSend(t *testing.T) {
	addr := startServer(t, ServerConfig{Name: "a"})
	r := mustGenerate(t, Load{Targets: []netip.AddrPort{addr}, Connections: 1, KeepAlive: true, Rate: 100, Path: "/slow/100ms", Timeout: 300 * time.Millisecond, Duration: time.Second})
	if r.Schedule.Due != 100 || r.Schedule.Dropped == 0 || r.Errors[ErrDropped] != r.Schedule.Dropped || r.Requests+r.Schedule.Dropped != 100 {
		t.Errorf("%d requests, schedule %+v, errors %v", r.Requests, r.Schedule, r.Errors)
	}
}

func TestOverloadDoesNotPassForThroughput(t *testing.T) {
	// 20 requests/s are all that one connection to this server carries; 80 are due.
	addr := startServer(t, ServerConfig{Name: "a"})
	r := mustGenerate(t, Load{Targets: []netip.AddrPort{addr}, Connections: 1, KeepAlive: true, Rate: 80, Path: "/slow/50ms", Duration: time.Second})
	if r.Schedule.Dropped != 0 || r.Requests != 80 {
		t.Errorf("the queue holds all: %d answered, schedule %+v", r.Requests, r.Schedule)
	}
	if got := r.Rate(); got < 10 || got > 20.5 {
		t.Errorf("%.1f requests/s", got)
	}
}

func TestTheRateIsThatOfTheWindowAsItWas(t *testing.T) {
	addr := startServer(t, ServerConfig{Name: "a"})
	for _, warmup := range []time.Duration{0, 50 * time.Millisecond} {
		r := mustGenerate(t, Load{Targets: []netip.AddrPort{addr}, Connections: 4, KeepAlive: true, Warmup: warmup, Duration: 200 * time.Millisecond})
		if r.Answered == 0 || r.Answered > r.Requests+4 || r.Requests > r.Answered+4 {
			t.Errorf("warm-up %v: %d requests sent in the window, %d answers came in it", warmup, r.Requests, r.Answered)
		}
	}
}

func TestErrorsAreCountedByKind(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	say := func(s string) netip.AddrPort {
		return fakeServer(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1024))
			_, _ = io.WriteString(c, s)
		})
	}
	reset := fakeServer(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.(*net.TCPConn).SetLinger(0)
	})
	web := startServer(t, ServerConfig{Name: "a"})
	tests := []struct {
		kind, path string
		addr       netip.AddrPort
	}{
		{ErrConnectRefused, "", refused},
		{ErrReset, "", reset},
		{ErrClosed, "", say("")},
		{ErrClosed, "", say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc")},
		{ErrClosed, "", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")},
		{ErrProtocol, "", say("SSH-2.0-OpenSSH\r\n\r\n")},
		{ErrProtocol, "", say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc")},
		{ErrTimeout, "/slow/900ms", web},
		{"status_503", "/status/503", web},
		{"status_404", "/nothing", web},
	}
	for _, test := range tests {
		t.Run(test.kind, func(t *testing.T) {
			t.Parallel()
			r := mustGenerate(t, Load{Targets: []netip.AddrPort{test.addr}, Path: test.path, Connections: 1, Requests: 1, Timeout: 100 * time.Millisecond})
			if r.Errors[test.kind] != 1 || r.Failed() != 1 || r.Requests != 0 || r.Latency.Count() != 0 {
				t.Errorf("want one %s, got %v and %d successes", test.kind, r.Errors, r.Requests)
			}
		})
	}
}

func TestEveryFramingOfAResponseIsUnderstood(t *testing.T) {
	for name, s := range map[string]string{
		"chunked":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"until close": "HTTP/1.1 200 OK\r\n\r\nabc",
		"HTTP/1.0":    "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
		"interim":     "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
		"no content":  "HTTP/1.1 204 No Content\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := fakeServer(t, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 1024))
				_, _ = io.WriteString(c, s)
			})
			r := mustGenerate(t, Load{Targets: []netip.AddrPort{addr}, Connections: 1, Requests: 1, KeepAlive: true})
			if r.Requests != 1 || r.BytesIn != uint64(len(s)) {
				t.Errorf("got %+v", r)
			}
		})
	}
}

// fakeServer hands every connection to f, then closes it.
func fakeServer(t *testing.T, f func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
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
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestGeneratorStopsAtOnceWhenCancelled(t *testing.T) {
	web := startServer(t, ServerConfig{Name: "a"})
	for name, l := range map[string]Load{
		"closed loop": {Path: "/"},
		"slow answer": {Path: "/slow/900ms"},
		"open loop":   {Path: "/slow/900ms", Rate: 0.5},
		"overload":    {Path: "/slow/900ms", Rate: 5000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
			defer cancel()
			l.Targets, l.Connections, l.KeepAlive, l.Duration = []netip.AddrPort{web}, 16, true, time.Minute
			start := time.Now()
			r, err := Generate(ctx, l, nil)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 700*time.Millisecond {
				t.Errorf("returned %v after %v", err, time.Since(start))
			}
			for kind := range r.Errors {
				if kind != ErrDropped {
					t.Errorf("the interruption was counted as %s", kind)
				}
			}
		})
	}
}

func TestGeneratorGivesUpAfterSoManyErrors(t *testing.T) {
	web := startServer(t, ServerConfig{Name: "a"})
	r := mustGenerate(t, Load{Targets: []netip.AddrPort{web}, Path: "/status/500", Connections: 4, Duration: 10 * time.Second, MaxErrors: 20})
	if r.Stopped == "" || r.Failed() < 20 || r.Failed() > 24 {
		t.Errorf("stopped %q after %d errors", r.Stopped, r.Failed())
	}
}

func TestGeneratorRefusesBadLoads(t *testing.T) {
	at := func(s string) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort(s)} }
	good := Load{Targets: at("127.0.0.1:80"), Connections: 1, Requests: 1}
	tests := map[string]func(*Load){
		"no target":         func(l *Load) { l.Targets = nil },
		"no connection":     func(l *Load) { l.Connections = 0 },
		"no end":            func(l *Load) { l.Requests = 0 },
		"negative rate":     func(l *Load) { l.Rate = -1 },
		"injection":         func(l *Load) { l.Path = "/ HTTP/1.1\r\nX: y" },
		"injection by host": func(l *Load) { l.Host = "a\r\nX: y" },
		"endless timeout":   func(l *Load) { l.Timeout = time.Hour },
	}
	for name, spoil := range tests {
		l := good
		if spoil(&l); func() error { _, err := l.normal(); return err }() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for addr, ok := range map[string]bool{
		"127.9.9.9:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true, "198.18.0.1:80": true, "198.19.255.255:80": true, "[2001:2::1]:80": true,
		"198.20.0.1:80": false, "198.17.0.1:80": false, "10.0.0.1:80": false, "[2001:3::1]:80": false, "0.0.0.0:80": false, "8.8.8.8:80": false,
	} {
		l := good
		l.Targets = at(addr)
		if _, err := l.normal(); (err == nil) != ok || !ok && !errors.Is(err, ErrForbiddenTarget) {
			t.Errorf("%s: %v", addr, err)
		}
		l.AnyTarget = true
		if _, err := l.normal(); err != nil {
			t.Errorf("%s, allowed: %v", addr, err)
		}
	}
}
