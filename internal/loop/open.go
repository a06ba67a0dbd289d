package loop

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Connect begins a TCP connection. Connected or Closed follows, never before
// Connect has returned. What is written meanwhile waits.
func (l *Loop) Connect(addr netip.AddrPort, h Handler) *Conn {
	fd, errno := l.sys.socket(l.sys.setAddr(addr))
	if errno != 0 {
		fd = -1
	}
	c := l.take(fd, h, addr)
	c.flags |= connecting
	if errno != 0 {
		c.fault(errno)
		return c
	}
	l.sys.noDelay(fd)
	l.io.connect(c)
	return c
}

// connected goes on when a connect has succeeded.
func (c *Conn) connected() {
	c.flags &^= connecting
	c.h.Connected(c)
	switch {
	case c.flags&(closed|failed) != 0:
	case c.out.n > 0:
		c.unstick()
	case c.flags&shut != 0:
		c.l.sys.shutdown(c.fd)
	}
}

// Adopt takes a connected stream socket into the loop, which closes it in the
// end. If it returns an error the socket is still the caller's.
func (l *Loop) Adopt(fd int, h Handler) (*Conn, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("adopt descriptor %d: %w", fd, err)
	}
	if errno := l.sys.peer(int32(fd)); errno != 0 {
		return nil, fmt.Errorf("adopt descriptor %d: %w", fd, errno)
	}
	c := l.take(int32(fd), h, l.sys.getAddr())
	l.io.adopt(c, false)
	return c, nil
}
