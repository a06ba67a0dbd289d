package loop

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// eachKind runs a test over every kind that the machine has.
func eachKind(t *testing.T, f func(t *testing.T, k Kind)) {
	for _, k := range []Kind{Epoll, URing} {
		t.Run(k.String(), func(t *testing.T) {
			if k == URing {
				needURing(t)
			}
			f(t, k)
		})
	}
}

func needURing(t testing.TB) {
	t.Helper()
	if got, why := Probe(); got != URing {
		t.Skip("no io_uring here: " + why)
	}
}

// start runs a loop, the only one at its sockets, until the test ends.
func start(t testing.TB, k Kind) *Loop {
	t.Helper()
	return startWith(t, Options{Kind: k, Alone: true})
}

func startWith(t testing.TB, o Options) *Loop {
	t.Helper()
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.Run() }()
	t.Cleanup(func() {
		l.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// on runs f on the loop and waits for it.
func on(l *Loop, f func()) {
	done := make(chan struct{})
	l.Post(func() { f(); close(done) })
	<-done
}

// calls is a Handler made of functions. What is nil does nothing.
type calls struct {
	connected func(c *Conn)
	data      func(c *Conn, b []byte)
	eof       func(c *Conn)
	drained   func(c *Conn)
	expired   func(c *Conn)
	closed    func(c *Conn, err error)
}

func (h *calls) Connected(c *Conn) {
	if h.connected != nil {
		h.connected(c)
	}
}

func (h *calls) Data(c *Conn, b []byte) {
	if h.data != nil {
		h.data(c, b)
	}
}

func (h *calls) EOF(c *Conn) {
	if h.eof != nil {
		h.eof(c)
	}
}

func (h *calls) Drained(c *Conn) {
	if h.drained != nil {
		h.drained(c)
	}
}

func (h *calls) Expired(c *Conn) {
	if h.expired != nil {
		h.expired(c)
	}
}

func (h *calls) Closed(c *Conn, err error) {
	if h.closed != nil {
		h.closed(c, err)
	}
}

// listener returns a listening socket of loopback and its address.
func listener(t testing.TB, backlog int) (int, netip.AddrPort) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	for _, err := range []error{
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}),
		unix.Listen(fd, backlog),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(sa.(*unix.SockaddrInet4).Port))
}

// serve accepts connections for h on a loop.
func serve(t testing.TB, l *Loop, h Handler) netip.AddrPort {
	t.Helper()
	fd, addr := listener(t, 4096)
	var err error
	on(l, func() { _, err = l.Listen(fd, func(c *Conn, _ netip.AddrPort) { c.SetHandler(h) }) })
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// dial connects from outside the loop.
func dial(t testing.TB, addr netip.AddrPort) *net.TCPConn {
	t.Helper()
	d := net.Dialer{}
	d.SetMultipathTCP(false)
	c, err := d.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn)
}

// within waits for what a test expects.
func within[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not come within 20 s", what)
		panic("unreachable")
	}
}

// settles waits until f is true.
func settles(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s is not so after 10 s", what)
		}
	}
}

// descriptors counts what the process has open.
func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
