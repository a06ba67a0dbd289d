package traffic

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func dialServer(t *testing.T, addr netip.AddrPort) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn)
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

func TestAServerKeepsLittleForAClientThatDoesNotRead(t *testing.T) {
	addr := startServer(t, ServerConfig{Name: "s1"})
	const body = 200 << 20
	for name, send := range map[string]string{
		"one large answer":  fmt.Sprintf("GET /bytes/%d HTTP/1.1\r\nHost: x\r\n\r\n", body),
		"many asked for":    strings.Repeat("GET /bytes/16384 HTTP/1.1\r\nHost: x\r\n\r\n", body>>14),
		"large and many":    strings.Repeat("GET /bytes/1048576 HTTP/1.1\r\nHost: x\r\n\r\n", body>>20),
		"and then it stops": fmt.Sprintf("GET /bytes/%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", body),
	} {
		t.Run(name, func(t *testing.T) {
			before := heapInUse()
			c := dialServer(t, addr)
			go func() { _, _ = io.WriteString(c, send) }()
			time.Sleep(200 * time.Millisecond)
			if kept := int64(heapInUse() - before); kept > 16<<20 {
				t.Errorf("%d MiB are kept for it", kept>>20)
			}
			br, got := bufio.NewReaderSize(c, 1<<20), int64(0)
			for got < body {
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				n, err := io.Copy(io.Discard, resp.Body)
				if got += n; err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestALongAnswerDoesNotHoldUpOthers(t *testing.T) {
	addr := startServer(t, ServerConfig{Name: "s1", Body: 10})
	long := dialServer(t, addr)
	fmt.Fprintf(long, "GET /bytes/%d HTTP/1.1\r\nHost: x\r\n\r\n", maxBody)
	go func() { _, _ = io.Copy(io.Discard, long) }()
	r := mustGenerate(t, Load{Targets: []netip.AddrPort{addr}, Connections: 1, KeepAlive: true, Requests: 20})
	if r.Requests != 20 || r.Latency.Max() > 500*time.Millisecond {
		t.Errorf("%d requests took up to %v", r.Requests, r.Latency.Max())
	}
}

func TestAServerOutlivesItsClients(t *testing.T) {
	addr := startServer(t, ServerConfig{Name: "s1", Body: 10})
	for _, send := range []string{"GET /slow/50ms HTTP/1.1\r\nHost: x\r\n\r\n", "GET /bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n", "POST /sum HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", "GET / HT"} {
		for range 20 {
			c := dialServer(t, addr)
			fmt.Fprint(c, send)
			_ = c.SetLinger(0)
			c.Close()
		}
	}
	time.Sleep(100 * time.Millisecond)
	if r := mustGenerate(t, Load{Targets: []netip.AddrPort{addr}, Connections: 4, Requests: 100}); r.Requests != 100 {
		t.Errorf("100 requests gave %+v", r)
	}
}

func TestSeveralLoopsShareTheirWork(t *testing.T) {
	addr := startServer(t, ServerConfig{Name: "a", Loops: 2})
	for _, load := range []Load{{Requests: 1000}, {Duration: 300 * time.Millisecond}, {Requests: 1000, Rate: 5000}} {
		load.Targets, load.Connections, load.KeepAlive, load.Loops = []netip.AddrPort{addr}, 7, true, 3
		r := mustGenerate(t, load)
		if r.Failed() != 0 || r.Latency.Count() != int64(r.Requests) || r.Servers["a"] != r.Requests || r.Procs != 3 {
			t.Errorf("%+v gave %+v", load, r)
		}
		if load.Requests > 0 && r.Requests != 1000 || load.Rate > 0 && r.Schedule.Due != 1000 {
			t.Errorf("%d requests, %d due", r.Requests, r.Schedule.Due)
		}
		if r.Connections > 7 || r.Connections < 7 && (load.Requests == 0 || load.Rate > 0) { // one loop may have sent all before another began
			t.Errorf("%d connections", r.Connections)
		}
	}
}

// A connection that the server ends between two requests costs the next one.
func TestAnIdleConnectionThatEndsIsAnError(t *testing.T) {
	addr := fakeServer(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1024))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	r := mustGenerate(t, Load{Targets: []netip.AddrPort{addr}, Connections: 1, KeepAlive: true, Rate: 20, Requests: 4})
	if r.Requests != 2 || r.Errors[ErrClosed] != 2 || r.Connections != 2 {
		t.Errorf("want two answers and two errors: %d, %v, %d connections", r.Requests, r.Errors, r.Connections)
	}
}

func TestAlarmsComeInTheirOrder(t *testing.T) {
	var a alarms[int]
	for _, at := range []int64{5, 3, 9, 1, 7, 3, 8, 2} {
		a.add(at, int(at))
	}
	var got []int
	for {
		at, ok := a.next()
		if !ok {
			break
		}
		who := a.pop()
		if int64(who) != at {
			t.Errorf("next is %d, then comes %d", at, who)
		}
		got = append(got, who)
	}
	if len(got) != 8 || !slices.IsSorted(got) {
		t.Errorf("they come in the order %v", got)
	}
}

func TestAFifoKeepsItsOrderWhenItGrows(t *testing.T) {
	var q fifo[int]
	in, out := 0, 0
	for range 50 {
		for range 7 {
			q.push(in)
			in++
		}
		for range 5 {
			if got := q.pop(); got != out {
				t.Fatalf("%d came where %d was due", got, out)
			}
			out++
		}
	}
	if q.len() != in-out {
		t.Errorf("%d are left of %d", q.len(), in-out)
	}
}
