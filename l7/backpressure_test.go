package l7

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// A client that asks and asks and takes no answer costs a bounded amount of memory, and
// has all its answers when it takes them.
func TestAClientThatTakesNoAnswerCostsLittle(t *testing.T) {
	const request, requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 10_000
	answer := strings.Repeat("b", 8<<10)
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	s.Routes = []lb.Route{{Path: lb.PathMatch{Kind: lb.PathPrefix, Value: "/"}, Respond: lb.Respond{Status: 200, Body: answer}}}
	l.apply()
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	c := rawDial(t, s.VIP.Addr)
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	before := heap()
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, strings.Repeat(request, requests))
		written <- err
	}()
	last := uint64(0)
	eventually(t, 30*time.Second, func() error { // until the proxy has begun all that it will
		time.Sleep(50 * time.Millisecond)
		count, _ := l.counters(s)
		had := last
		last = count.Requests
		if last == 0 || last != had {
			return errors.New("it still answers")
		}
		return nil
	})
	if grown := heap() - before; grown > 16<<20 {
		t.Errorf("%d answers that nobody has taken: the heap grew by %d KiB", last, grown>>10)
	}
	in := bufio.NewReader(c)
	for i := range requests {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); n != int64(len(answer)) || err != nil {
			t.Fatalf("answer %d: %d bytes, %v", i, n, err)
		}
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}
