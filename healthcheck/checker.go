package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"

	"lbctl/internal/lb"
)

// Checker is one kind of probe of one address.
type Checker interface {
	// Check probes once; nil is success. It returns soon after ctx ends.
	Check(ctx context.Context) error
}

// Dial opens connections in the network namespace that probes are to leave from.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// newChecker returns the probe of c for a backend at addr.
func newChecker(c lb.Check, addr netip.AddrPort, dial Dial) (Checker, error) {
	if c.Port != 0 {
		addr = netip.AddrPortFrom(addr.Addr(), c.Port)
	}
	switch c.Kind {
	case lb.CheckTCP:
		return &tcpChecker{addr: addr.String(), dial: dial}, nil
	case lb.CheckHTTP:
		return newHTTPChecker(c.HTTP, addr.String(), dial)
	}
	return nil, fmt.Errorf("check kind %q: want %s or %s", c.Kind, lb.CheckTCP, lb.CheckHTTP)
}

// Validate reports what is wrong with a check, nil if it can be run.
func Validate(c lb.Check) error {
	if _, err := newChecker(c, netip.AddrPort{}, nil); err != nil {
		return fmt.Errorf("check %q: %w", c.Name, err)
	}
	for _, field := range []struct {
		name string
		ok   bool
	}{
		{"interval", c.Interval > 0},
		{"fast_interval", c.FastInterval > 0},
		{"timeout", c.Timeout > 0},
		{"rise", c.Rise > 0},
		{"fall", c.Fall > 0},
	} {
		if !field.ok {
			return fmt.Errorf("check %q: %s must be positive", c.Name, field.name)
		}
	}
	return nil
}

// cause strips an error of what the reason says anyway: net's "dial tcp
// 198.18.4.1:80: connect: connection refused" becomes "connection refused".
func cause(ctx context.Context, err error) string {
	var errno syscall.Errno
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed before the answer was complete"
	}
	return err.Error()
}
