package loop

import (
	"golang.org/x/sys/unix"
)

func (u *uring) adopt(c *Conn, _ bool) { u.l.later(c) }

func (u *uring) connect(c *Conn) { u.l.later(c) }

// visit asks the kernel for what c wants by now and has not asked for.
func (u *uring) visit(c *Conn) {
	switch {
	case c.flags&closed != 0:
		u.letGo(c)
	case c.flags&failed != 0:
		u.last(c)
	case c.flags&connecting != 0:
		u.dial(c)
	default:
		u.deliver(c)
		if c.flags&(closed|failed) == 0 {
			u.receive(c)
			u.send(c)
		}
	}
}

func (u *uring) dial(c *Conn) {
	if c.busy&dialing != 0 {
		return
	}
	c.busy |= dialing
	u.l.sys.setAddr(c.peer)
	e := u.entry(opConnect, c.fd, tokenDial.of(c.slot))
	addr := &u.addrs[(u.ring.tail-1)%uint32(len(u.addrs))]
	copy(addr[:], u.l.sys.addr[:])
	e.addr, e.off = address(&addr[0]), uint64(u.l.sys.size)
}

func (u *uring) dialed(c *Conn, e *cqe) {
	c.busy &^= dialing
	switch {
	case c.flags&closed != 0:
		u.bury(c)
	case e.res < 0:
		u.l.fail(c, unix.Errno(-e.res))
	default:
		u.l.later(c)
		c.connected()
	}
}

// send submits what was written since the last visit or, if the kernel has
// refused some, waits until it takes more.
func (u *uring) send(c *Conn) {
	switch {
	case c.out.n == 0 || c.busy&(sending|polling) != 0:
	case c.flags&stuck != 0:
		c.busy |= polling
		u.entry(opPollAdd, c.fd, tokenPoll.of(c.slot)).opFlags = unix.POLLOUT
	default:
		c.busy |= sending
		c.due = uint32(u.l.sys.stats.Iterations) + 1
		e := u.entry(opSend, c.fd, tokenSend.of(c.slot))
		b := c.out.head // which c keeps until the completion
		e.addr, e.len = address(&b.b[b.r]), uint32(b.w-b.r)
		e.opFlags = unix.MSG_NOSIGNAL | unix.MSG_WAITALL
		if c.flags&(shut|closing) != 0 && b.next == nil {
			e.opFlags |= unix.MSG_MORE // the end follows
		}
	}
}

func (u *uring) sent(c *Conn, e *cqe) {
	late := c.overdue()
	c.busy &^= sending
	switch {
	case c.flags&closed != 0:
		u.l.blocks.drop(&c.out)
		u.bury(c)
		return
	case c.flags&failed != 0:
		u.l.blocks.drop(&c.out)
		return
	case e.res < 0:
		c.fault(unix.Errno(-e.res))
		return
	}
	u.l.sys.stats.Written += uint64(e.res)
	u.l.blocks.consume(&c.out, int(e.res))
	if late {
		c.flags |= stuck
	}
	switch {
	case c.out.n == 0:
		c.drained()
	case c.out.n > u.l.batch:
		c.unstick()
	default:
		u.l.later(c)
	}
}

func (u *uring) polled(c *Conn) {
	c.busy &^= polling
	switch {
	case c.flags&closed != 0:
		u.bury(c)
	case c.flags&failed == 0:
		c.unstick()
	}
}

// release leaves the rest to the visit. What the kernel has in hand stays.
func (u *uring) release(c *Conn) {
	if c.busy&sending == 0 {
		u.l.blocks.drop(&c.out)
	}
	u.l.blocks.drop(&c.in)
	u.l.later(c)
}

// letGo cancels what is in flight and closes the descriptor, in this order: a
// socket ends when nothing holds it any more. By user data, since the kernel
// would look for a descriptor among all operations.
func (u *uring) letGo(c *Conn) {
	u.cancel(c)
	if c.fd >= 0 {
		u.entry(opClose, c.fd, tokenNone.of(0)).flags = sqeQuiet
		c.fd = -1
	}
	u.bury(c)
}

func (u *uring) cancel(c *Conn) {
	if c.busy&(receiving|dropping) == receiving {
		u.cancelOne(tokenReceive.of(c.slot))
	}
	if c.busy&sending != 0 {
		u.cancelOne(tokenSend.of(c.slot))
	}
	if c.busy&polling != 0 {
		u.cancelOne(tokenPoll.of(c.slot))
	}
	if c.busy&dialing != 0 {
		u.cancelOne(tokenDial.of(c.slot))
	}
}

func (u *uring) cancelOne(data uint64) {
	e := u.entry(opCancel, -1, tokenNone.of(0))
	e.addr, e.flags = data, sqeQuiet
}

// bury lets a closed connection's slot be used again when its last operation is over.
func (u *uring) bury(c *Conn) {
	if c.busy&inFlight == 0 && c.fd < 0 {
		c.busy = 0
		u.l.dead = append(u.l.dead, c)
	}
}
