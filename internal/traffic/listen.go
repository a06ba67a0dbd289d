package traffic

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// listener is a listening socket.
type listener struct {
	fd   int
	addr netip.AddrPort
}

// listen opens a socket with net, which knows about families and zones, and takes
// it out of the runtime's poller, which would wake for each connection.
func listen(ctx context.Context, a netip.AddrPort) (listener, error) {
	lc := net.ListenConfig{KeepAlive: -1, Control: setForConnections}
	lc.SetMultipathTCP(false)
	network := "tcp4"
	switch {
	case a.Addr() == netip.IPv6Unspecified():
		network = "tcp" // both families
	case a.Addr().Is6():
		network = "tcp6"
	}
	l, err := lc.Listen(ctx, network, a.String())
	if err != nil {
		return listener{}, err
	}
	defer l.Close()
	fd, err := duplicate(l.(*net.TCPListener))
	if err != nil {
		return listener{}, fmt.Errorf("listen on %v: %w", a, err)
	}
	bound := l.Addr().(*net.TCPAddr).AddrPort()
	return listener{fd: fd, addr: netip.AddrPortFrom(bound.Addr().Unmap(), bound.Port())}, nil
}

func duplicate(l *net.TCPListener) (fd int, err error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	cerr := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(cerr, err)
}

// setForConnections sets once, on the listener, what Linux hands down to the
// connections: that saves each of them five system calls.
func setForConnections(_, _ string, c syscall.RawConn) error {
	var err error
	cerr := c.Control(func(fd uintptr) {
		err = errors.Join(
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 30),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 10),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_SAVE_SYN, 1), // see savedSYN
		)
	})
	return errors.Join(cerr, err)
}
