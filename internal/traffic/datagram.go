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

// echoer is a socket that sends every datagram back to where it came from.
type echoer struct {
	*net.UDPConn
}

// listenDatagrams opens a socket on an address with a port. On an unspecified
// address the kernel tells with each datagram which of the node's it was sent
// to, because that, perhaps a VIP, is where the answer must come from.
func listenDatagrams(ctx context.Context, a netip.AddrPort) (*echoer, error) {
	network := "udp4"
	switch {
	case a.Addr() == netip.IPv6Unspecified():
		network = "udp" // both families
	case a.Addr().Is6():
		network = "udp6"
	}
	six := network != "udp4"
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		cerr := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_PKTINFO, 1)
			if six {
				err = errors.Join(err, unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1))
			}
		})
		return errors.Join(cerr, err)
	}}
	socket, err := lc.ListenPacket(ctx, network, a.String())
	if err != nil {
		return nil, err
	}
	return &echoer{socket.(*net.UDPConn)}, nil
}

// serve returns nil once the socket is closed. What was received with a datagram
// about its destination goes out with the answer as it is: the kernel takes it
// for the source (ip(7), IP_PKTINFO).
func (e *echoer) serve() error {
	data, about := make([]byte, 1<<16), make([]byte, 128)
	for {
		n, m, _, from, err := e.ReadMsgUDPAddrPort(data, about)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("echo: %w", err)
		}
		// One that cannot be sent is lost, as any may be.
		_, _, _ = e.WriteMsgUDPAddrPort(data[:n], about[:m], from)
	}
}
