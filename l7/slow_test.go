package l7

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// slowClients is a process of n clients that each send a byte a second, one in ten of them of a body,
// the others of a head. It says "ready" when all have connected, and goes on until its
// input ends. Its own process, since both ends of a connection count against a limit of files.
func slowClients(vip, number string) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	conns := make([]net.Conn, n)
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for part := range 8 {
		all.Go(func() {
			for i := part; i < n; i += 8 {
				c, err := net.Dial("tcp", vip)
				if err == nil && i%10 == 0 {
					_, err = io.WriteString(c, "POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n")
				} else if err == nil {
					_, err = io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: h\r\nX: ")
				}
				if conns[i] = c; err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	fmt.Println("ready")
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	const parts = 100
	for tick := time.NewTicker(time.Second / parts); ; {
		for part := range parts {
			for i := part; i < n; i += parts {
				if _, err := conns[i].Write([]byte("x")); err != nil {
					return fmt.Errorf("client %d: %w", i, err)
				}
			}
			<-tick.C
		}
	}
}

// workersOf are the processes that forward for a plane.
func workersOf(t testing.TB, p *Plane) (pids []int) {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.PID()))
	for _, task := range tasks { // each thread has its own
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", p.PID(), task.Name()))
		for _, f := range strings.Fields(string(b)) {
			pid, _ := strconv.Atoi(f)
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		t.Fatal("the plane has no workers")
	}
	return pids
}

// oneOfTheModels reports whether this is a run of TestTheSameUnderEveryModel, which
// has less of what takes long.
func oneOfTheModels() bool { return os.Getenv(modelVariable)+os.Getenv(kindVariable) != "" }

// memory is a line of /proc/PID/status in bytes.
func memory(t testing.TB, pid int, line string) (n int) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), line+":")
	fmt.Sscan(rest, &n)
	return n << 10
}

// allowFiles lets this process, and those that it starts, have so many files open, or skips
// the test.
func allowFiles(t testing.TB, n uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max >= n && limit.Cur >= n {
		return
	}
	more := unix.Rlimit{Cur: max(limit.Cur, n), Max: max(limit.Max, n)}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &more); err != nil {
		t.Skipf("a process may have %d files, this needs %d, and the limit cannot be raised: %v", limit.Max, n, err)
	}
}

func TestTenThousandSlowClientsSlowNobodyDown(t *testing.T) {
	if m := testShape().Model; m != Loop {
		t.Skip("a client takes a thread of model " + string(m))
	}
	clients := 10_000
	if testing.Short() {
		clients = 1000
	}
	// Each process has the limit for itself. The child has a file for each client, a
	// worker, in the worst case, all of them and a backend's for one in ten, and this
	// process, which is the backend, one for one in ten.
	allowFiles(t, uint64(clients*11/10+500))
	l := newLab(t)
	l.backend(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "hello")
	})
	s := l.service("web", lb.RoundRobin)
	s.HTTP.ClientHeadTimeout, s.HTTP.ClientIdleTimeout = 2*time.Minute, 2*time.Minute
	o := planeOptions(t)
	p := openPlane(t, o)
	defer endProxy(t, p)
	l.applyTo(p)
	alone := fastClient(t, s.VIP.Addr)
	before := 0
	for _, pid := range workersOf(t, p) {
		before += memory(t, pid, "VmRSS")
	}

	child := exec.Command("/proc/self/exe", "slow-clients", s.VIP.Addr.String(), strconv.Itoa(clients))
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	child.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	child.Stderr = os.Stderr
	stdin, _ := child.StdinPipe()
	stdout, _ := child.StdoutPipe()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stdin.Close()
		child.Process.Kill()
		child.Wait()
		// The backend hears of them by their end.
		eventually(t, 10*time.Second, func() error {
			if n := l.backends[0].open(); n > 50 {
				return fmt.Errorf("%d connections to the backend are left", n)
			}
			return nil
		})
	}()
	ready := make([]byte, 6)
	if _, err := io.ReadFull(stdout, ready); err != nil {
		t.Fatalf("slow clients: %v", err)
	}
	time.Sleep(time.Second)
	// Others use this machine, too: what is not the proxy's doing passes.
	var among, bound time.Duration
	for range 4 {
		among, bound = fastClient(t, s.VIP.Addr), 3*alone+5*time.Millisecond
		if among <= bound {
			break
		}
	}
	after := 0
	for _, pid := range workersOf(t, p) {
		after += memory(t, pid, "VmRSS")
	}
	st, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if n := int(st.Services[0].Counters.Connections); n < clients {
		t.Errorf("the proxy took %d of %d clients", n, clients)
	}
	t.Logf("%d slow clients; p99 of a fast one %v alone, %v among them: %.1f times; the workers use %d KiB a slow client",
		clients, alone, among, float64(among)/float64(alone), (after-before)/clients>>10)
	if among > bound {
		t.Errorf("p99 %v, want at most 3 × %v + 5 ms", among, alone)
	}
}

// fastClient is the 99th percentile of the time that a request takes.
func fastClient(t testing.TB, vip netip.AddrPort) time.Duration {
	c := rawDial(t, vip)
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	times := make([]time.Duration, 1000)
	buf := make([]byte, 4096)
	for i := range times {
		begun := time.Now()
		io.WriteString(c, "GET /fast HTTP/1.1\r\nHost: h\r\n\r\n")
		n, err := c.Read(buf)
		if times[i] = time.Since(begun); err != nil || !bytes.HasSuffix(buf[:n], []byte("hello")) {
			t.Fatalf("%q, %v", buf[:n], err)
		}
	}
	slices.Sort(times)
	return times[len(times)*99/100]
}

// pattern is a stream of n bytes no block of which is like another.
type pattern struct {
	left  int64
	block [64 << 10]byte
	at    int
	turn  uint64
	sum   hash.Hash
}

func newPattern(n int64) *pattern { return &pattern{left: n, at: 64 << 10, sum: sha256.New()} }

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	if p.at == len(p.block) {
		p.turn++
		binary.BigEndian.PutUint64(p.block[p.turn*997%(64<<10-8):], p.turn)
		p.at = 0
	}
	n := copy(b[:min(int64(len(b)), p.left)], p.block[p.at:])
	p.sum.Write(b[:n])
	p.at += n
	p.left -= int64(n)
	return n, nil
}

func TestALargeBodyPassesBothWaysInLittleMemory(t *testing.T) {
	size := int64(256 << 20)
	if testing.Short() || oneOfTheModels() {
		size = 32 << 20
	}
	if s := os.Getenv("LBCTL_L7_BODY_MIB"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		size = n << 20
	}
	l := newLab(t)
	l.backend(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodHead:
			return
		case http.MethodPost:
			got := sha256.New()
			n, _ := io.Copy(got, r.Body)
			fmt.Fprintf(w, "%d %x", n, got.Sum(nil))
			return
		}
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		w.Header().Set("Trailer", "X-Sum")
		p := newPattern(size)
		io.Copy(w, struct{ io.Reader }{p})
		w.Header().Set("X-Sum", fmt.Sprintf("%x", p.sum.Sum(nil)))
	})
	s := l.service("web", lb.RoundRobin)
	p := openPlane(t, planeOptions(t))
	defer endProxy(t, p)
	l.applyTo(p)
	l.client.Head("http://" + s.VIP.Addr.String())
	pids := workersOf(t, p)
	before := map[int]int{}
	for _, pid := range pids {
		before[pid] = memory(t, pid, "VmRSS")
	}
	var want string
	url, begun := "http://"+s.VIP.Addr.String(), time.Now()
	for _, length := range []int64{size, -1} { // by length, in chunks
		out := newPattern(size)
		req, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, url, struct{ io.Reader }{out})
		req.ContentLength = length
		resp, err := l.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		want = fmt.Sprintf("%x", out.sum.Sum(nil)) // of the same stream each time
		if err != nil || string(got) != fmt.Sprint(size, " ", want) {
			t.Errorf("the request's body, length %d: %q, %v, want %s", length, got, err, want)
		}
	}
	for _, path := range []string{"/length", "/chunks"} {
		resp, err := l.client.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		got := sha256.New()
		n, err := io.Copy(got, resp.Body)
		resp.Body.Close()
		if sum := fmt.Sprintf("%x", got.Sum(nil)); err != nil || n != size || sum != want {
			t.Errorf("%s: %d bytes, %v, %s, want %s", path, n, err, sum, want)
		}
	}
	took := time.Since(begun)
	for _, pid := range pids {
		peak := memory(t, pid, "VmHWM")
		t.Logf("4 × %d MiB in %v; worker %d: %d KiB before, %d KiB at its peak", size>>20, took.Round(time.Millisecond), pid, before[pid]>>10, peak>>10)
		if peak > before[pid]+24<<20 {
			t.Errorf("worker %d grew from %d to %d KiB", pid, before[pid]>>10, peak>>10)
		}
	}
}
