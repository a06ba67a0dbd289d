package loop

import "golang.org/x/sys/unix"

// bulk implements engine: the visit changes how c is received.
func (u *uring) bulk(c *Conn) { u.l.later(c) }

// found reads what a poll has found at a connection in bulk, or was cancelled before it
// did. Whatever is left, an end too, is found by the next poll.
func (u *uring) found(c *Conn) {
	c.busy &^= receiving | dropping | watching
	if c.flags&closed != 0 {
		u.bury(c)
		return
	}
	u.l.later(c)
	if c.flags&(failed|paused|eof) != 0 {
		return
	}
	b := u.l.room(c)
	switch n, errno := u.l.sys.read(c.fd, b); {
	case errno == unix.EAGAIN, errno == unix.EINTR:
	case errno != 0:
		u.l.fail(c, errno)
	case n == 0:
		u.end(c, 0)
	default:
		u.l.handOut(c, b[:n])
	}
}
