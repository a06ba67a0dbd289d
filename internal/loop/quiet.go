package loop

import "golang.org/x/sys/unix"

// Quiet reports whether nothing has come that was not handed out yet: no data, no
// EOF, no error. It costs a system call.
func (c *Conn) Quiet() bool {
	if c.flags&(closed|closing|failed|eof|ended) != 0 || c.in.n > 0 {
		return false
	}
	// In this order: what the kernel takes from the socket it puts there.
	return c.l.sys.peek(c.fd) == unix.EAGAIN && !c.l.io.arrived(c)
}

// arrived implements engine: what has come is in the socket still.
func (*epoll) arrived(*Conn) bool { return false }

// arrived looks for completions of the receive that are still to be handled. One
// that was cancelled has brought nothing.
func (u *uring) arrived(c *Conn) bool {
	want := uint32(tokenReceive.of(c.slot))
	for i, n := u.ring.head, u.ring.ready(); n > 0; i, n = i+1, n-1 {
		if e := u.ring.at(i); uint32(e.data) == want && e.res != -int32(unix.ECANCELED) {
			return true
		}
	}
	return false
}
