package loop

import "golang.org/x/sys/unix"

// connect: that a connect has ended is an event of its socket being writable.
func (e *epoll) connect(c *Conn) {
	if errno := e.l.sys.connect(c.fd); errno != 0 && errno != unix.EINPROGRESS {
		c.fault(errno)
		return
	}
	e.register(c)
}

// adopt reads at once when data may be there, for then a connection that ends
// with its first answer need never be registered. Registering late loses
// nothing: the kernel reports what is there already as an event.
func (e *epoll) adopt(c *Conn, soon bool) {
	c.flags |= readable
	if soon && c.flags&paused == 0 {
		e.read(c)
	}
	if c.flags&(closed|registered) == 0 {
		e.l.later(c)
	}
}

// visit ends a connection that failed, reads on, or registers.
func (e *epoll) visit(c *Conn) {
	if c.flags&closed != 0 {
		return
	}
	if c.flags&failed != 0 {
		e.last(c)
		return
	}
	if c.flags&registered == 0 {
		if c.flags&paused == 0 || c.flags&stuck != 0 {
			e.register(c)
		}
		return
	}
	if c.flags&(readable|paused|eof|connecting) == readable {
		e.read(c)
	}
}

// register asks for c's events. Those that are true already follow.
func (e *epoll) register(c *Conn) {
	if errno := e.add(c.fd, c.slot, c.gen, connEvents); errno != 0 {
		c.fault(errno)
		return
	}
	c.flags |= registered
	c.flags &^= readable
	c.stir()
}

func (e *epoll) add(fd int32, slot, gen uint32, events uint32) unix.Errno {
	return e.control(unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(slot), Pad: int32(gen)})
}

// read reads once, which empties the socket unless the scratch was filled: what
// arrives later is another event. Only if the end was announced must it be
// looked for, and what is behind TCP's urgent data, where a read stops. A socket
// that may have more is read again when all others have had their turn.
func (e *epoll) read(c *Conn) {
	b := e.l.room(c)
	n, errno := e.l.sys.read(c.fd, b)
	switch {
	case errno == unix.EAGAIN:
		c.flags &^= readable | hangup | unsure // an end would have been read
		return
	case errno != 0:
		e.l.fail(c, errno)
		return
	case n == 0:
		c.flags = c.flags&^readable | eof
		c.h.EOF(c)
		return
	}
	if n < len(b) && c.flags&hangup == 0 {
		c.flags &^= readable | unsure
	}
	e.l.handOut(c, b[:n])
	if c.flags&(readable|paused|closed|failed) == readable {
		e.l.later(c)
	}
}

// last delivers what had arrived when a write failed: a server may answer and
// close before it has read all.
func (e *epoll) last(c *Conn) {
	errno := unix.Errno(c.errno)
	for c.flags&(paused|closed|eof|connecting) == 0 {
		n, err := e.l.sys.read(c.fd, e.l.scratch)
		if err != 0 || n == 0 {
			break
		}
		e.l.handOut(c, e.l.scratch[:n])
	}
	if c.flags&closed == 0 {
		e.l.fail(c, errno)
	}
}

// bulk implements engine: the next read knows.
func (*epoll) bulk(*Conn) {}

func (e *epoll) release(c *Conn) {
	e.l.blocks.drop(&c.out)
	if c.fd >= 0 {
		e.l.sys.close(c.fd)
	}
	e.l.dead = append(e.l.dead, c)
}

func (e *epoll) withdraw(c *Conn) {
	if c.flags&registered != 0 {
		e.control(unix.EPOLL_CTL_DEL, c.fd, nil)
	}
}
