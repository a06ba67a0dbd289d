package supervise

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

func openListeners(t *testing.T) (*Listeners, netip.AddrPort) {
	t.Helper()
	l := NewListeners()
	t.Cleanup(l.Close)
	if err := l.Open([]netip.AddrPort{loopback}); err != nil {
		t.Fatal(err)
	}
	return l, l.Sockets()[0].Addr
}

// dials opens connections and leaves them open.
func dials(t *testing.T, addr netip.AddrPort, n int) {
	t.Helper()
	for range n {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
}

// queued takes what waits at a socket.
func queued(f *os.File) (fds []int) {
	for {
		fd, _, err := unix.Accept4(int(f.Fd()), unix.SOCK_CLOEXEC)
		if err != nil {
			return fds
		}
		fds = append(fds, fd)
	}
}

func TestAcceptedConnectionsInheritTheOptions(t *testing.T) {
	l, addr := openListeners(t)
	dials(t, addr, 1)
	fds := queued(l.Sockets()[0].File)
	if len(fds) != 1 {
		t.Fatalf("accepted %d, want 1", len(fds))
	}
	defer unix.Close(fds[0])
	for _, o := range append([]option{{unix.SOL_SOCKET, unix.SO_PROTOCOL, unix.IPPROTO_TCP}}, options...) {
		if got, err := unix.GetsockoptInt(fds[0], o.level, o.name); err != nil || got != o.value {
			t.Errorf("option %d/%d = %d, %v, want %d", o.level, o.name, got, err, o.value)
		}
	}
}

func TestAllOrNoneIsOpened(t *testing.T) {
	taken, addr := openListeners(t)
	_ = taken
	l := NewListeners()
	open := openFiles(t)
	if err := l.Open([]netip.AddrPort{loopback, addr}); err == nil {
		t.Error("an address that is in use was opened")
	}
	if n := len(l.Sockets()); n != 0 || openFiles(t) != open {
		t.Errorf("%d addresses and %d files are left", n, openFiles(t)-open)
	}
	if err := l.Open([]netip.AddrPort{netip.MustParseAddrPort("[fe80::1%lo]:0")}); err == nil {
		t.Error("an address with a zone was opened")
	}
}

func TestBothFamiliesListenAtOnePort(t *testing.T) {
	l, addr := openListeners(t)
	both := []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port()), addr, addr}
	if err := l.Open(both); err != nil {
		t.Fatal(err)
	}
	if n := len(l.Sockets()); n != 2 {
		t.Errorf("%d addresses, want 2", n)
	}
}

func TestRetainClosesTheOthers(t *testing.T) {
	l := NewListeners()
	t.Cleanup(l.Close)
	if err := l.Open([]netip.AddrPort{loopback, netip.MustParseAddrPort("[::1]:0")}); err != nil {
		t.Fatal(err)
	}
	keep := l.Sockets()[0]
	l.Retain([]netip.AddrPort{keep.Addr})
	if got := l.Sockets(); len(got) != 1 || got[0] != keep {
		t.Errorf("sockets = %v, want one at %s", got, keep.Addr)
	}
}

func TestInheritRefusesWhatIsNoListener(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	_, addr := openListeners(t)
	for _, value := range []string{
		"127.0.0.1:80", "ready", "ready=", "ready=1", "ready=-1", "ready=9999",
		addr.String() + "=9999", "nonsense=5", "127.0.0.1:80=2",
	} {
		t.Setenv(inheritVariable, value)
		if _, err := Inherit(); err == nil {
			t.Errorf("%q was inherited", value)
		}
		if os.Getenv(inheritVariable) != "" {
			t.Errorf("%q is still in the environment", value)
		}
	}
	in, err := Inherit()
	if err != nil || in.Ready() != nil || len(in.Listeners.Sockets()) != 0 {
		t.Errorf("a first master: %v", err)
	}
}
