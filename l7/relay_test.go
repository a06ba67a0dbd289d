package l7

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

func TestAClientThatGoesAbortsTheBackendsRequest(t *testing.T) {
	l := newLab(t)
	arrived, aborted := make(chan struct{}), make(chan struct{})
	l.backend(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			http.NewResponseController(w).Flush()
		}
		close(arrived)
		<-r.Context().Done()
		close(aborted)
	})
	s := l.service("web", lb.RoundRobin)
	l.apply()
	for _, path := range []string{"/head", "/body"} {
		arrived, aborted = make(chan struct{}), make(chan struct{})
		c := rawDial(t, s.VIP.Addr)
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		<-arrived
		c.Close()
		select {
		case <-aborted:
		case <-time.After(2 * time.Second):
			t.Fatalf("%s: the backend's request goes on", path)
		}
		eventually(t, time.Second, func() error {
			if c, b := l.counters(s); c.Active+b[0].Active != 0 {
				return fmt.Errorf("%s: still active: %+v %+v", path, c, b)
			}
			return nil
		})
	}
	if c, _ := l.counters(s); c.Errors != 0 {
		t.Errorf("%d errors for clients that went", c.Errors)
	}
}

func TestABackendThatDiesInItsAnswerCutsTheClientOff(t *testing.T) {
	l := newLab(t)
	l.backend(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "100")
		}
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	s := l.service("web", lb.RoundRobin)
	l.apply()
	for i, path := range []string{"/length", "/chunked"} {
		resp, err := l.client.Get("http://" + s.VIP.Addr.String() + path)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, want an unexpected EOF", path, err)
		}
		if c, b := l.counters(s); int(c.Errors) != i+1 || int(b[0].Errors) != i+1 {
			t.Errorf("%s: errors %d, %d, want %d", path, c.Errors, b[0].Errors, i+1)
		}
	}
}

func TestEventsPassAsTheyCome(t *testing.T) {
	l := newLab(t)
	seen := make(chan struct{})
	l.backend(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		flush := http.NewResponseController(w)
		flush.Flush()
		for range 3 {
			<-seen
			io.WriteString(w, "data: x\n\n")
			flush.Flush()
		}
	})
	s := l.service("web", lb.RoundRobin)
	l.apply()
	resp, err := l.client.Get("http://" + s.VIP.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 100)
	for range 3 {
		seen <- struct{}{}
		if n, err := resp.Body.Read(buf); n != 9 || err != nil && err != io.EOF {
			t.Fatalf("read %q, %v", buf[:n], err)
		}
	}
}

func TestAnEarlyAnswerReachesAClientThatStillSends(t *testing.T) {
	l := newLab(t)
	l.backend(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
	s := l.service("web", lb.RoundRobin)
	l.apply()
	resp := l.raw(s, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"+strings.Repeat("x", 1000))
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestABrokenRequestBodyIsTheClientsFault(t *testing.T) {
	l := newLab(t)
	l.backend(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	s := l.service("web", lb.RoundRobin)
	l.apply()
	resp := l.raw(s, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
	if c, _ := l.counters(s); resp.StatusCode != 400 || c.Errors != 0 {
		t.Errorf("status %d, %d errors", resp.StatusCode, c.Errors)
	}
}

func TestBodiesPassWholeInBoundedMemory(t *testing.T) {
	const size = 64 << 20
	l := newLab(t)
	l.backend(func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		io.Copy(sum, r.Body)
		w.Header().Set("X-Sum", fmt.Sprintf("%x", sum.Sum(nil)))
		if r.Method == http.MethodGet {
			w.Header().Set("Trailer", "X-Body")
			out := sha256.New()
			io.Copy(io.MultiWriter(w, out), io.LimitReader(rand.New(rand.NewSource(2)), size))
			w.Header().Set("X-Body", fmt.Sprintf("%x", out.Sum(nil)))
		}
	})
	s := l.service("web", lb.RoundRobin)
	l.apply()
	runtime.GC()
	peak := watchHeap()
	sent := sha256.New()
	body := struct{ io.Reader }{io.TeeReader(io.LimitReader(rand.New(rand.NewSource(1)), size), sent)}
	resp, err := l.client.Post("http://"+s.VIP.Addr.String(), "", body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Header.Get("X-Sum") != sum(sent) {
		t.Error("the request's body arrived changed")
	}
	resp, err = l.client.Get("http://" + s.VIP.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	got := sha256.New()
	n, err := io.Copy(got, resp.Body)
	resp.Body.Close()
	if err != nil || n != size || resp.Trailer.Get("X-Body") != sum(got) {
		t.Errorf("the response's body: %d bytes, %v, trailer %v", n, err, resp.Trailer)
	}
	if p := peak(); p > 32<<20 {
		t.Errorf("heap rose to %d MiB for bodies of 64 MiB", p>>20)
	}
	if c, b := l.counters(s); c.BytesIn < size || c.BytesOut < size || b[0].BytesIn < size || b[0].BytesOut < size {
		t.Errorf("bytes: service %+v, backend %+v", c, b[0])
	}
}

func sum(h hash.Hash) string { return fmt.Sprintf("%x", h.Sum(nil)) }

// watchHeap returns a function that stops watching and returns the highest
// number of bytes in live or not yet collected objects.
func watchHeap() func() uint64 {
	quit, result := make(chan struct{}), make(chan uint64)
	go func() {
		var peak uint64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
			select {
			case <-quit:
				result <- peak
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() uint64 { close(quit); return <-result }
}
