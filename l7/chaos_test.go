package l7

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbctl/internal/lb"
	"lbctl/internal/proxy"
)

// mood is how a backend treats a request.
type mood uint8

const (
	good           mood = iota
	goodThenCloses      // without having said so: an idle connection that ends
	goodInPieces
	goodAndMore       // with bytes in excess
	closesAtOnce      // in place of an answer
	resetsAtOnce      //
	resetsInHead      //
	closesInHead      //
	halfCloses        // in place of an answer, and reads on
	answersGarbage    //
	answersTwoLengths //
	hangs             // until the proxy gives up
	// Those below have begun to answer.
	closesInBody
	resetsInBody
	badChunk
	moods
)

// chance is how often in 10,000 requests.
var chance = [moods]int{
	goodThenCloses: 300, goodInPieces: 300, goodAndMore: 200, closesAtOnce: 200, resetsAtOnce: 200, resetsInHead: 100, closesInHead: 100,
	halfCloses: 100, answersGarbage: 100, answersTwoLengths: 100, hangs: 2, closesInBody: 100, resetsInBody: 100, badChunk: 100,
}

// chaos is what all backends know: how often each request came, and how the last one
// of these was treated.
type chaos struct {
	seed  uint64
	came  []atomic.Int32
	last  []atomic.Int32
	conns atomic.Int64
	late  atomic.Int64 // good answers that came too late: this process was held up
}

func (x *chaos) mood(r *rand.Rand) mood {
	n := r.IntN(10_000)
	for m := good; m < moods; m++ {
		if n -= chance[m]; n < 0 {
			return m
		}
	}
	return good
}

// serve treats each request of a connection as a mood says.
func (x *chaos) serve(c net.Conn) {
	r := rand.New(rand.NewPCG(x.seed, uint64(x.conns.Add(1))))
	if r.IntN(50) == 0 { // takes no request at all
		c.(*net.TCPConn).SetLinger(0)
		return
	}
	in := bufio.NewReader(c)
	for {
		id, err := readID(in)
		if err != nil {
			return
		}
		m := x.mood(r)
		x.last[id].Store(int32(m))
		x.came[id].Add(1)
		if !x.answer(c, in, m, id) {
			return
		}
	}
}

// readID reads a request, whose id is its path, with its body.
func readID(in *bufio.Reader) (id int, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	_, path, _ := bytes.Cut(line, []byte(" /"))
	digits, _, _ := bytes.Cut(path, []byte(" "))
	if id, err = strconv.Atoi(string(digits)); err != nil {
		return 0, err
	}
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) == 2 {
			_, err := in.Discard(length)
			return id, err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
}

// answer reports whether the connection goes on.
func (x *chaos) answer(c net.Conn, in *bufio.Reader, m mood, id int) bool {
	const head = "HTTP/1.1 200 OK\r\n"
	whole := fmt.Sprintf(head+"Content-Length: 10\r\n\r\n%010d", id)
	reset := func() bool { c.(*net.TCPConn).SetLinger(0); return false }
	switch m {
	case good:
		io.WriteString(c, whole)
		return true
	case goodInPieces:
		io.WriteString(c, whole[:20])
		runtime.Gosched()
		io.WriteString(c, whole[20:])
		return true
	case goodThenCloses:
		io.WriteString(c, whole)
	case goodAndMore:
		io.WriteString(c, whole+head+"Content-Length: 4\r\n\r\nevil")
		return true
	case resetsAtOnce:
		return reset()
	case closesInHead, resetsInHead:
		io.WriteString(c, head+"Content-")
		if m == resetsInHead {
			return reset()
		}
	case halfCloses:
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, in)
	case answersGarbage:
		io.WriteString(c, "\x00\x01garbage\r\n\r\n")
		io.Copy(io.Discard, in)
	case answersTwoLengths:
		io.WriteString(c, head+"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx")
		io.Copy(io.Discard, in)
	case hangs:
		io.Copy(io.Discard, in)
	case closesInBody, resetsInBody:
		io.WriteString(c, whole[:len(whole)-3])
		if m == resetsInBody {
			return reset()
		}
	case badChunk:
		fmt.Fprintf(c, head+"Transfer-Encoding: chunked\r\n\r\na\r\n%010d\r\nzz\r\n", id)
		io.Copy(io.Discard, in)
	}
	return false
}

// hangTimeout is how long the proxy waits for an answer.
const hangTimeout = time.Second

var chaosMethods = []string{"GET", "GET", "GET", "POST", "POST", "PUT", "DELETE", "PATCH"}

// client sends the requests that next gives out until there are none, and checks
// the answers.
func (x *chaos) client(t *testing.T, vip netip.AddrPort, next func() int, r *rand.Rand, tally *[600]atomic.Int64) {
	var c net.Conn
	var in *bufio.Reader
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for id := next(); id >= 0; id = next() {
		if c == nil {
			var err error
			if c, err = net.Dial("tcp", vip.String()); err != nil {
				t.Error(err)
				return
			}
			in = bufio.NewReader(c)
		}
		method, body := chaosMethods[r.IntN(len(chaosMethods))], ""
		if method[0] == 'P' {
			body = strings.Repeat("b", r.IntN(300))
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(c, "%s /%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", method, id, len(body), body)
		begun := time.Now()
		status, closes, err := x.hear(in, id)
		m, came := mood(x.last[id].Load()), x.came[id].Load()
		if m <= goodAndMore && status == 504 && time.Since(begun) >= hangTimeout {
			x.late.Add(1)
		} else if why := judgeChaos(method, m, int(came), status, err); why != "" {
			t.Errorf("%s %d came %d times, in the end mood %d, and was answered %d, %v: %s", method, id, came, m, status, err, why)
		}
		if err != nil {
			status = 0
		}
		tally[status].Add(1)
		if err != nil || closes {
			c.Close()
			c = nil
		}
	}
}

// hear reads an answer. A 200 must be the one to id.
func (x *chaos) hear(in *bufio.Reader, id int) (status int, closes bool, err error) {
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, true, err
	}
	b, err := io.ReadAll(resp.Body)
	if resp.StatusCode == 200 && err == nil && string(b) != fmt.Sprintf("%010d", id) {
		err = fmt.Errorf("the answer of another: %q", b)
	}
	return resp.StatusCode, resp.Close, err
}

// judgeChaos says what is wrong with an answer: came is how often the request reached
// a backend, m how that was treated the last time.
func judgeChaos(method string, m mood, came, status int, err error) string {
	repeatable := method != "POST" && method != "PATCH"
	switch {
	case !repeatable && came > 1:
		return "it was sent twice"
	case came > 6: // three backends, each once more if the connection had been kept
		return "it was sent too often"
	case err != nil && strings.HasPrefix(err.Error(), "the answer"):
		return "wrong answer"
	case came == 0 && status != 502:
		return "nobody got it"
	case came == 0, m <= goodAndMore && status == 200 && err == nil:
		return ""
	case m == hangs && status != 504, m > goodAndMore && m < hangs && status != 502:
		// The backend that was tried last may have taken no request at all.
		if repeatable && status == 502 {
			return ""
		}
		return "wrong status"
	case m <= goodAndMore:
		return "a good answer did not arrive"
	case m > hangs && (status != 200 || err == nil):
		return "an answer that broke off was not cut off"
	}
	return ""
}

func TestBackendsThatMisbehaveAtRandom(t *testing.T) {
	requests := 100_000
	if testing.Short() || oneOfTheModels() {
		requests = 10_000
	}
	if s := os.Getenv("LBCTL_L7_REQUESTS"); s != "" {
		requests, _ = strconv.Atoi(s)
	}
	seed := rand.Uint64()
	if s := os.Getenv("LBCTL_L7_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("LBCTL_L7_SEED=%d LBCTL_L7_REQUESTS=%d", seed, requests)
	l := newLab(t)
	x := &chaos{seed: seed, came: make([]atomic.Int32, requests), last: make([]atomic.Int32, requests)}
	s := l.service("web", lb.RoundRobin)
	for i := range 3 {
		s.Backends = append(s.Backends, lb.Backend{ID: lb.BackendID(i + 1), Name: fmt.Sprint("s", i+1), Addr: rawBackend(t, x.serve), Weight: 1, Health: lb.Up})
	}
	s.HTTP.BackendHeadTimeout = hangTimeout
	l.apply()

	var begun atomic.Int64
	var middle uint64
	var tally [600]atomic.Int64
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	next := func() int {
		i := int(begun.Add(1)) - 1
		if i == requests/4 {
			middle = heap() // by one of the clients, while the others go on
		}
		if i >= requests || t.Failed() {
			return -1
		}
		return i
	}
	start := time.Now()
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() { x.client(t, s.VIP.Addr, next, rand.New(rand.NewPCG(seed, uint64(i)<<32)), &tally) })
	}
	all.Wait()
	eventually(t, 5*time.Second, func() error {
		clients, kept := 0, 0
		l.engine.each(func(_ runner, c *proxy.Core) { clients += c.Clients() })
		c, b := l.counters(s)
		for _, one := range b {
			kept += int(one.Active)
		}
		if clients != 0 || c.Active != 0 || kept != 0 {
			return fmt.Errorf("left: %d clients, %d requests, %d attempts", clients, c.Active, kept)
		}
		return nil
	})
	end := heap()
	if middle > 0 && end > middle+8<<20 {
		t.Errorf("the heap grew from %d KiB after a quarter of the requests to %d KiB after all", middle>>10, end>>10)
	}
	if late := x.late.Load(); late > int64(requests/1000) {
		t.Errorf("%d good answers came too late", late)
	}
	c, _ := l.counters(s)
	t.Logf("%d requests in %v: %d×200, %d×502, %d×504, %d broken off; %d retries; heap %d KiB, then %d KiB; files %d",
		requests, time.Since(start).Round(time.Millisecond), tally[200].Load(), tally[502].Load(), tally[504].Load(), tally[0].Load(), c.Retries, middle>>10, end>>10, openFiles())
}
