package l7

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// silence is how long a proxy that is to end lets a kept connection say nothing before it closes it (drainTime in
// internal/proxy).
const silence = time.Second

// tally knows which requests a backend has seen, and what their clients got.
type tally struct {
	sync.Mutex
	seen     map[string]bool
	answered map[string]bool
	broken   []string
	refused  int // connections
	dropped  int // requests of which no byte was answered, as they may be
	last     atomic.Int64
}

// serve answers some requests at once, some late, and some with a lot.
func (w *tally) serve(out http.ResponseWriter, r *http.Request) {
	id := r.URL.Path
	w.Lock()
	w.seen[id] = true
	w.Unlock()
	switch n := w.last.Add(1); {
	case n%7 == 0:
		time.Sleep(time.Duration(n%50) * time.Millisecond)
	case n%5 == 0:
		io.WriteString(out, strings.Repeat(id, 200_000/len(id)))
	}
	io.WriteString(out, id)
}

func (w *tally) fail(format string, args ...any) {
	w.Lock()
	defer w.Unlock()
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

// visit makes requests until the proxy takes no connection any more: all over one connection as long as it is kept, or
// each over one of its own.
func (w *tally) visit(addr string, name string, keep bool) {
	var c net.Conn
	var in *bufio.Reader
	var before time.Time // when the request before on this connection was sent; zero: there was none
	for n := 0; ; n++ {
		if c == nil {
			var err error
			if c, err = net.Dial("tcp", addr); err != nil {
				w.Lock()
				w.refused++
				w.Unlock()
				return
			}
			c.SetDeadline(time.Now().Add(30 * time.Second))
			in, before = bufio.NewReader(c), time.Time{}
		}
		id, sent := fmt.Sprintf("/%s/%d", name, n), time.Now()
		open, got, err := request(c, in, id)
		switch {
		case err == nil:
			w.Lock()
			w.answered[id] = true
			w.Unlock()
		case got > 0:
			w.fail("%s: %d bytes of an answer, then %v", id, got, err)
		case !before.IsZero() && time.Since(before) < silence:
			w.fail("%s: %v on a connection that was in use %s ago", id, err, time.Since(before))
		default:
			w.Lock()
			w.dropped++
			w.Unlock()
		}
		before = sent
		if err != nil || !open || !keep {
			c.Close()
			c = nil
		}
	}
}

// request asks for an id, and says whether the connection is kept, and how many bytes have come of the answer.
func request(c net.Conn, in *bufio.Reader, id string) (open bool, got int, err error) {
	if _, err = io.WriteString(c, "GET "+id+" HTTP/1.1\r\nHost: x\r\n\r\n"); err == nil {
		_, err = in.Peek(1)
	}
	if err != nil {
		return false, in.Buffered(), err
	}
	got = in.Buffered()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return false, got, err
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !strings.HasSuffix(string(body), id)) {
		err = fmt.Errorf("%s: %.100s", resp.Status, body)
	}
	return !resp.Close, got, err
}

// Seed (d), QUIT: a request that the proxy has begun to read is answered whole. No byte comes of one only if its connection
// was new, and no worker has read from it, or had been silent for so long that the proxy has closed it; and then no backend
// has heard of it. nginx promises less: it closes connections that are between two requests at once.
func TestQuitUnderLoadAnswersWhatItHasBegunToRead(t *testing.T) {
	forCommandShapes(t, func(t *testing.T, shape Shape) {
		for round := range 3 {
			t.Run(fmt.Sprint(round+1), func(t *testing.T) { quitUnderLoad(t, shape) })
		}
	})
}

func quitUnderLoad(t *testing.T, shape Shape) {
	w := &tally{seen: map[string]bool{}, answered: map[string]bool{}}
	_, p, s := proxyOf(t, shape, w.serve)
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() { w.visit(s.VIP.Addr.String(), fmt.Sprint("client", i), i%2 == 0) })
	}
	time.Sleep(loadTime() / 4)
	pid := p.PID()
	p.Close() // nobody starts another
	syscall.Kill(pid, syscall.SIGQUIT)
	clients.Wait()
	eventually(t, stopDeadline, func() error {
		if lives(pid) {
			return fmt.Errorf("master %d does not end", pid)
		}
		return nil
	})
	w.judge(t)
}

func (w *tally) judge(t *testing.T) {
	t.Helper()
	for i, failure := range w.broken {
		if i < 10 {
			t.Error(failure)
		}
	}
	lost := 0
	for id := range w.seen {
		if !w.answered[id] {
			lost++
		}
	}
	if lost > 0 || len(w.answered) == 0 {
		t.Errorf("%d requests were answered; %d others came to the backend", len(w.answered), lost)
	}
	t.Logf("%d requests were answered, %d dropped, %d connections refused", len(w.answered), w.dropped, w.refused)
}
