package l7

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// largeAnswers serves /n, n bytes by length, or fewer if the query says so.
func largeAnswers(bytes []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Path[1:])
		w.Header().Set("Content-Length", strconv.Itoa(n))
		if breaks, err := strconv.Atoi(r.URL.RawQuery); err == nil {
			n = breaks
		}
		w.Write(bytes[:n])
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(b)
	return b
}

func TestLargeAnswersArriveAndCount(t *testing.T) {
	content := randomBytes(50 << 20)
	l := newLab(t)
	l.backend(largeAnswers(content))
	s := l.service("web", lb.RoundRobin)
	l.apply()
	want := map[int][32]byte{}
	sizes := []int{10, 20_000, 33_000, 64 << 10, 1 << 20, 50 << 20}
	for _, n := range sizes {
		want[n] = sha256.Sum256(content[:n])
	}
	// A client's connection: small and large answers take turns, so that the backend's
	// does, too.
	ask := func(count int, pause time.Duration, sizes ...int) (total int) {
		c := rawDial(t, s.VIP.Addr)
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		in := bufio.NewReader(c)
		for i := range count {
			n := sizes[i%len(sizes)]
			fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", n)
			time.Sleep(pause)
			for line := ""; line != "\r\n"; total += len(line) {
				var err error
				if line, err = in.ReadString('\n'); err != nil {
					t.Error(err)
					return total
				}
			}
			sum := sha256.New()
			m, err := io.CopyN(sum, in, int64(n))
			if total += int(m); err != nil || [32]byte(sum.Sum(nil)) != want[n] {
				t.Errorf("an answer of %d bytes: %d came, %v, or others", n, m, err)
				return total
			}
		}
		return total
	}
	var all int
	var mu sync.Mutex
	var clients sync.WaitGroup
	for _, f := range []func() int{
		func() int { return ask(60, 0, sizes[:5]...) },
		func() int { return ask(200, 0, 64<<10) },
		func() int { return ask(12, 20*time.Millisecond, 1<<20, 64<<10, 10) },
		func() int { return ask(2, 0, 50<<20) },
		func() int { return ask(1, 300*time.Millisecond, 50<<20) },
	} {
		clients.Add(1)
		go func() {
			defer clients.Done()
			n := f()
			mu.Lock()
			all += n
			mu.Unlock()
		}()
	}
	clients.Wait()
	eventually(t, 2*time.Second, func() error {
		c, b := l.counters(s)
		if int(c.BytesOut) != all || b[0].BytesOut < uint64(all)-uint64(c.Requests)*100 || c.Errors+c.Active+b[0].Active != 0 {
			return fmt.Errorf("clients got %d bytes; counted: %+v, %+v", all, c, b[0])
		}
		return nil
	})
}

func TestLargeAnswersThatBreakOff(t *testing.T) {
	content := randomBytes(5 << 20)
	l := newLab(t)
	l.backend(largeAnswers(content))
	s := l.service("web", lb.RoundRobin)
	l.apply()
	get := func(target string) (int, error) {
		resp, err := l.client.Get("http://" + s.VIP.Addr.String() + target)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if string(b) != string(content[:len(b)]) {
			t.Errorf("%s: other bytes came", target)
		}
		return len(b), err
	}
	for i := range 5 {
		for _, whole := range []string{"/65536", "/5242880"} {
			if _, err := get(whole); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := get("/5242880?3000000"); n != 3_000_000 || err == nil {
			t.Errorf("an answer that breaks off: %d bytes, %v", n, err)
		}
		if c, b := l.counters(s); int(c.Errors) != i+1 || int(b[0].Errors) != i+1 {
			t.Errorf("%d and %d errors, want %d", c.Errors, b[0].Errors, i+1)
		}
	}
	for range 20 { // a client that goes away in the middle
		c := rawDial(t, s.VIP.Addr)
		io.WriteString(c, "GET /65536 HTTP/1.1\r\nHost: x\r\n\r\nGET /5242880 HTTP/1.1\r\nHost: x\r\n\r\n")
		io.CopyN(io.Discard, c, 200_000)
		c.Close()
	}
	eventually(t, 5*time.Second, func() error {
		if c, b := l.counters(s); c.Active+b[0].Active != 0 || c.Errors != 5 {
			return fmt.Errorf("clients that went: %+v, %+v", c, b[0])
		}
		return nil
	})
	if _, err := get("/65536"); err != nil {
		t.Error(err)
	}
}

func TestALargeAnswerThatSaysTooMuch(t *testing.T) {
	body := strings.Repeat("x", 64<<10)
	l := newLab(t)
	l.backend(func(w http.ResponseWriter, r *http.Request) {
		c, out, _ := http.NewResponseController(w).Hijack()
		defer c.Close()
		for {
			more := ""
			if r.URL.Path == "/more" {
				more = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
			}
			fmt.Fprintf(out, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s%s", len(body), body, more)
			out.Flush()
			var err error
			if r, err = http.ReadRequest(out.Reader); err != nil {
				return
			}
		}
	})
	s := l.service("web", lb.RoundRobin)
	l.apply()
	for range 10 {
		for _, path := range []string{"/", "/", "/more"} {
			resp, err := l.client.Get("http://" + s.VIP.Addr.String() + path)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			if resp.Body.Close(); err != nil || string(b) != body {
				t.Errorf("%s: %d bytes, %v", path, len(b), err)
			}
		}
	}
}
