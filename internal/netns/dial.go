package netns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// DialContext connects from inside the namespace. It has the signature of
// net.Dialer.DialContext, but addr must be an IP literal and a port: a name
// would be resolved from whatever namespace the resolver's goroutine is in.
func (h *Handle) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := literal(network, addr); err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	var conn net.Conn
	err := h.Do(func() (err error) {
		var dialer net.Dialer
		dialer.SetMultipathTCP(false)
		conn, err = dialer.DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// Listen listens inside the namespace; what it accepts belongs there, too.
// Sockets are plain TCP, since multipath TCP's are refused by socket maps.
func (h *Handle) Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	if err := literal(network, addr); err != nil && !strings.HasPrefix(addr, ":") {
		return nil, fmt.Errorf("listen %s: %w", addr, err)
	}
	var listener net.Listener
	err := h.Do(func() (err error) {
		var config net.ListenConfig
		config.SetMultipathTCP(false)
		listener, err = config.Listen(ctx, network, addr)
		return err
	})
	return listener, err
}

// literal refuses what would need a resolver.
func literal(network, addr string) error {
	if strings.HasPrefix(network, "unix") {
		return nil
	}
	_, err := netip.ParseAddrPort(addr)
	return err
}
