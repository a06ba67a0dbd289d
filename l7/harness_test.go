package l7

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
	"lbctl/internal/loop"
	"lbctl/internal/scoreboard"
	"lbctl/internal/supervise"
)

var quiet = slog.New(slog.DiscardHandler)

// inProcess is the one worker of a lab: an engine in the test's process.
type inProcess struct {
	testing.TB
	engine *engine
}

// configure implements workers.
func (w inProcess) configure(c *configuration, fresh []supervise.Socket) error {
	sockets := map[netip.AddrPort]*os.File{}
	for _, s := range fresh {
		fd, err := unix.FcntlInt(s.File.Fd(), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			w.Error(err)
		}
		sockets[s.Addr] = os.NewFile(uintptr(fd), "listener")
	}
	err := w.engine.configure(c, sockets)
	for _, f := range sockets { // that it has already
		f.Close()
	}
	if err != nil {
		w.Error(err)
	}
	return nil
}

// restore implements workers.
func (w inProcess) restore(c *configuration, sockets []supervise.Socket) {
	_ = w.configure(c, sockets)
}

// report implements workers.
func (inProcess) report() Workers { return Workers{} }

// reopen implements workers.
func (w inProcess) reopen(ctx context.Context) error { return w.engine.reopen(ctx) }

// TestMain is the lbctl binary as far as Plane is concerned.
func TestMain(m *testing.M) {
	run := func(context.Context) error { os.Exit(m.Run()); return nil }
	if len(os.Args) == 4 && os.Args[1] == "slow-clients" {
		run = func(context.Context) error { return slowClients(os.Args[2], os.Args[3]) }
	}
	if len(os.Args) > 2 && strings.HasPrefix(os.Args[1], "l7-") {
		flags := flag.NewFlagSet("", flag.ExitOnError)
		socket, slot := flags.String("socket", "", ""), flags.Int("slot", 0, "")
		var shape Shape
		flags.StringVar((*string)(&shape.Model), "model", "", "")
		flags.StringVar(&shape.Events, "events", "", "")
		flags.StringVar(&shape.LogLevel, "log-level", "", "")
		flags.DurationVar(&shape.DrainTimeout, "drain-timeout", 0, "")
		for name, n := range map[string]*int{
			"threads": &shape.Threads, "start": &shape.Start, "min-spare": &shape.MinSpare, "max-spare": &shape.MaxSpare, "processes": &shape.Processes,
		} {
			flags.IntVar(n, name, 0, "")
		}
		_ = flags.Parse(os.Args[2:])
		if os.Args[1] == "l7-proxy" {
			run = func(ctx context.Context) error { return Run(ctx, *socket, shape, NewLog(os.Stderr, shape)) }
		} else {
			run = func(ctx context.Context) error { return Work(ctx, *slot, shape, NewLog(os.Stderr, shape)) }
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// The tests run under the model and the kind of loop that these variables name;
// see TestTheSameUnderEveryModel.
const modelVariable, kindVariable = "LBCTL_L7_MODEL", "LBCTL_L7_LOOP"

// testShape has all threads that a test needs in its one process.
func testShape() Shape {
	s := Shape{Model: Model(os.Getenv(modelVariable)), Threads: 40, DrainTimeout: 30 * time.Second}
	if s.Model == "" || s.Model == Loop {
		s.Model, s.Threads = Loop, 1
	}
	return s
}

func testKind() loop.Kind {
	for _, k := range []loop.Kind{loop.Epoll, loop.URing} {
		if os.Getenv(kindVariable) == k.String() {
			return k
		}
	}
	return loop.Auto
}

// lab is a proxy in this process with its backends and a client. Its cleanup
// fails the test if a goroutine or a file descriptor is left.
type lab struct {
	*testing.T
	proxy    *master
	engine   *engine
	client   *http.Client
	config   lb.Snapshot
	backends []*backend
}

type backend struct {
	name     string
	addr     netip.AddrPort
	server   *http.Server
	listener net.Listener
	mu       sync.Mutex
	conns    map[net.Conn]http.ConnState
	handler  http.HandlerFunc
}

func newLab(t *testing.T) *lab {
	freeAddr(t, "127.0.0.1") // Go's poller has files of its own from the first socket on
	goroutines, files := runtime.NumGoroutine(), openFiles()
	board, err := scoreboard.Create(scoreboard.Sizes{Children: 1, Threads: testShape().Threads, Cells: 100})
	if err != nil {
		t.Fatal(err)
	}
	e, err := newEngine(quiet, board, 0, testShape(), testKind())
	if err != nil {
		t.Fatal(err)
	}
	m := newMaster(quiet, board)
	m.workers = inProcess{t, e}
	m.ledger.Admit(0, 1)
	l := &lab{T: t, proxy: m, engine: e, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}}
	t.Cleanup(func() {
		l.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		m.stop()
		e.stop(ctx)
		m.listeners.Close()
		board.Close()
		for _, b := range l.backends {
			b.server.Close()
		}
		eventually(t, 3*time.Second, func() error {
			if g, f := runtime.NumGoroutine(), openFiles(); g > goroutines || f > files {
				return fmt.Errorf("left: goroutines %d, before %d; files %d, before %d", g, goroutines, f, files)
			}
			return nil
		})
	})
	return l
}

// backend starts server i at 127.0.0.(1+i), which names itself in X-Server.
func (l *lab) backend(handler http.HandlerFunc) *backend {
	i := len(l.backends) + 1
	b := &backend{name: fmt.Sprintf("s%d", i), conns: map[net.Conn]http.ConnState{}, handler: handler}
	ln, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.%d:0", 1+i))
	if err != nil {
		l.Fatal(err)
	}
	b.addr = netip.MustParseAddrPort(ln.Addr().String())
	b.serve(ln)
	l.backends = append(l.backends, b)
	return b
}

func (b *backend) serve(ln net.Listener) {
	b.listener = ln
	b.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Server", b.name)
			if b.handler != nil {
				b.handler(w, r)
			}
		}),
		ConnState: func(c net.Conn, s http.ConnState) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.conns[c] = s; s == http.StateClosed || s == http.StateHijacked {
				delete(b.conns, c)
			}
		},
	}
	go b.server.Serve(ln)
}

// kill resets what is in flight and refuses what comes. The server alone would not, if it has
// not begun to serve: it closes the listener then at a later time.
func (b *backend) kill() {
	b.server.Close()
	b.listener.Close()
}

func (b *backend) open() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.conns)
}

// service adds a service over all backends so far, weight 1 each, at a VIP of
// its own.
func (l *lab) service(name string, policy lb.Policy) *lb.Service {
	s := lb.Service{
		Name: name, Plane: lb.L7, Policy: policy,
		VIP: lb.VIP{Addr: freeAddr(l, fmt.Sprintf("127.0.1.%d", len(l.config.Services)+1)), Proto: lb.TCP},
	}
	for i, b := range l.backends {
		s.Backends = append(s.Backends, lb.Backend{
			ID: lb.BackendID(i + 1), Name: b.name, Addr: b.addr, Weight: 1, Health: lb.Up,
		})
	}
	l.config.Services = append(l.config.Services, s)
	return &l.config.Services[len(l.config.Services)-1]
}

// next is a copy of the configuration with the next revision.
func (l *lab) next() lb.Snapshot {
	l.config.Revision++
	out := lb.Snapshot{Revision: l.config.Revision}
	for _, s := range l.config.Services {
		s.Backends = append([]lb.Backend(nil), s.Backends...)
		out.Services = append(out.Services, s)
	}
	return out
}

func (l *lab) apply() {
	l.Helper()
	if err := l.proxy.apply(l.next()); err != nil {
		l.Fatal(err)
	}
}

// get returns the status, the X-Server header and the body of GET http://VIP/.
func (l *lab) get(s *lb.Service) (status int, server, body string) {
	l.Helper()
	return l.do(s, http.MethodGet, nil)
}

func (l *lab) do(s *lb.Service, method string, body io.Reader) (status int, server, text string) {
	l.Helper()
	req, _ := http.NewRequest(method, "http://"+s.VIP.Addr.String()+"/", body)
	resp, err := l.client.Do(req)
	if err != nil {
		l.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		l.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("X-Server"), string(b)
}

// counters are those of the service and of its backends.
func (l *lab) counters(s *lb.Service) (lb.Counters, []lb.Counters) {
	for _, ss := range l.proxy.stats().Services {
		if ss.Name == s.Name {
			var backends []lb.Counters
			for _, b := range ss.Backends {
				backends = append(backends, b.Counters)
			}
			return ss.Counters, backends
		}
	}
	l.Fatalf("no service %s in stats", s.Name)
	panic("unreachable")
}

func freeAddr(t testing.TB, ip string) netip.AddrPort {
	ln, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return netip.MustParseAddrPort(ln.Addr().String())
}

func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

// eventually waits until f returns nil.
func eventually(t testing.TB, patience time.Duration, f func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// lives reports whether a process has not ended. One whose master has ended before it may have to wait until init hears
// of that.
func lives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

func rawDial(t testing.TB, addr netip.AddrPort) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

func listenerAddr(ln net.Listener) netip.AddrPort { return netip.MustParseAddrPort(ln.Addr().String()) }

func withIP(a netip.AddrPort, ip string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(ip), a.Port())
}

func withPort(a netip.AddrPort, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), port)
}
