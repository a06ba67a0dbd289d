package loop

import "golang.org/x/sys/unix"

// receive arms the receive, which stays armed. A pause costs nothing until data
// comes, which is kept; then the receive is cancelled, so that no more than what
// one iteration brings need be kept.
func (u *uring) receive(c *Conn) {
	switch {
	case c.busy&receiving == 0 && c.flags&(paused|eof|ended) == 0:
		c.busy |= receiving
		c.stir()
		if c.flags&bulk != 0 {
			c.busy |= watching
			u.entry(opPollAdd, c.fd, tokenReceive.of(c.slot)).opFlags = unix.POLLIN | unix.POLLRDHUP
			return
		}
		e := u.entry(opRecv, c.fd, tokenReceive.of(c.slot))
		e.ioprio, e.flags = recvMulti, sqeBuffers
	case c.busy&(receiving|dropping) == receiving && (c.in.n > 0 || c.flags&bulk != 0 != (c.busy&watching != 0)):
		c.busy |= dropping
		u.cancelOne(tokenReceive.of(c.slot))
	}
}

func (u *uring) received(c *Conn, e *cqe) {
	if c.busy&watching != 0 {
		u.found(c)
		return
	}
	if e.flags&cqeMore == 0 {
		c.busy &^= receiving | dropping
	}
	if e.flags&cqeBuffer != 0 {
		at, placed := placeOf(e)
		if !placed {
			at = u.buffers.place(e)
		}
		if e.res > 0 {
			u.l.sys.stats.Read += uint64(e.res)
			u.data(c, u.buffers.mem[at:at+uint32(e.res)])
		}
		u.buffers.give(e)
	}
	if c.flags&closed != 0 {
		if e.flags&cqeMore == 0 {
			u.bury(c)
		}
		return
	}
	u.ended(c, e)
}

// data hands b out, or keeps it while c is paused.
func (u *uring) data(c *Conn, b []byte) {
	switch {
	case c.flags&closed != 0:
	case c.flags&paused != 0 || c.in.n > 0:
		u.l.blocks.append(&c.in, b)
		u.l.later(c)
	default:
		c.h.Data(c, b)
	}
}

// ended handles a completion that may be the receive's last.
func (u *uring) ended(c *Conn, e *cqe) {
	if e.flags&cqeMore != 0 {
		return
	}
	switch errno := unix.Errno(max(-e.res, 0)); {
	case e.res > 0, errno == unix.ENOBUFS, errno == unix.ECANCELED, errno == unix.EAGAIN, errno == unix.EINTR:
		u.l.later(c) // to be armed again: buffers have come back meanwhile
	case c.flags&failed != 0:
	case c.flags&paused != 0 || c.in.n > 0:
		c.flags |= ended
		c.errno = uint16(errno)
		u.l.later(c)
	default:
		u.end(c, errno)
	}
}

func (u *uring) end(c *Conn, errno unix.Errno) {
	if errno != 0 {
		u.l.fail(c, errno)
		return
	}
	c.flags |= eof
	c.h.EOF(c)
}

// deliver hands out what a pause has kept.
func (u *uring) deliver(c *Conn) {
	for c.in.n > 0 && c.flags&(paused|closed) == 0 {
		b := u.l.blocks.pop(&c.in)
		c.h.Data(c, b.b[b.r:b.w])
		u.l.blocks.put(b)
	}
	if c.in.n == 0 && c.flags&(ended|paused|closed|failed) == ended {
		c.flags &^= ended
		u.end(c, unix.Errno(c.errno))
	}
}

// last delivers what had arrived when a write failed. The armed receive has
// nothing more, for it completes within io_uring_enter only.
func (u *uring) last(c *Conn) {
	errno, over := unix.Errno(c.errno), c.flags&ended != 0
	c.flags &^= ended
	u.deliver(c)
	for !over && c.flags&(paused|closed|eof|connecting) == 0 {
		b := u.l.scratch
		n, err := u.l.sys.read(c.fd, b)
		if err != 0 || n == 0 {
			break
		}
		u.l.handOut(c, b[:n])
	}
	if c.flags&closed == 0 {
		u.l.fail(c, errno)
	}
}
