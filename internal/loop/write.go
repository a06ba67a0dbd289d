package loop

import "golang.org/x/sys/unix"

// mute are the flags with which a write goes nowhere.
const mute = closed | failed | shut | closing

// Write sends b. What the kernel does not take at once is copied and sent later.
// With io_uring, so are up to 8 KiB at the end of the iteration, several writes
// in one. The caller may use b again.
func (c *Conn) Write(b []byte) {
	if len(b) == 0 || c.flags&mute != 0 {
		return
	}
	l := c.l
	if c.out.n == 0 && len(b) > l.batch && c.flags&connecting == 0 {
		n, errno := l.sys.send(c.fd, b)
		if errno != 0 && errno != unix.EAGAIN {
			c.fault(errno)
			return
		}
		if n == len(b) {
			return
		}
		c.flags |= stuck
		b = b[n:]
	}
	l.blocks.append(&c.out, b)
	c.offer()
}

// Writev is Write of several pieces, in one system call.
func (c *Conn) Writev(bs ...[]byte) { c.WriteBuffers(bs) }

// WriteBuffers is Write of several pieces, in one system call. It keeps neither
// bs nor what is in it.
func (c *Conn) WriteBuffers(bs [][]byte) { c.writeBuffers(bs, 0) }

// WriteLast is WriteBuffers before Shutdown or CloseWhenDrained, which must follow at
// once: the end goes in the same packet.
func (c *Conn) WriteLast(bs [][]byte) { c.writeBuffers(bs, unix.MSG_MORE) }

func (c *Conn) writeBuffers(bs [][]byte, how int) {
	if c.flags&mute != 0 {
		return
	}
	size := 0
	for _, b := range bs {
		size += len(b)
	}
	switch {
	case size == 0:
	case c.free() && c.out.n+size > c.l.batch:
		c.push(bs, how)
	default:
		for _, b := range bs {
			c.l.blocks.append(&c.out, b)
		}
		c.offer()
	}
}

// push offers the kernel what is queued and then bs, with flags of sendmsg, and
// queues the rest.
func (c *Conn) push(bs [][]byte, how int) {
	l := c.l
	fill(&l.sys.vector, &c.out, bs)
	n, errno := l.sys.sendv(c.fd, how)
	if errno != 0 && errno != unix.EAGAIN {
		c.fault(errno)
		return
	}
	if n < l.sys.vector.Bytes {
		c.flags |= stuck
	}
	sent := max(n-c.out.n, 0)
	l.blocks.consume(&c.out, min(n, c.out.n))
	for _, b := range bs {
		skip := min(sent, len(b))
		sent -= skip
		l.blocks.append(&c.out, b[skip:])
	}
	if c.out.n > 0 {
		c.offer()
	}
}

// free reports whether the kernel may be offered bytes right away: it has
// nothing of c's in hand and has not refused any.
func (c *Conn) free() bool { return c.flags&(stuck|connecting) == 0 && c.busy&sending == 0 }

// offer has the engine send what was queued.
func (c *Conn) offer() {
	if c.flags&connecting != 0 {
		c.flags |= stuck
		return
	}
	if c.free() && c.out.n > c.l.batch {
		c.flush()
		return
	}
	c.l.later(c)
}

// flush offers the kernel all that is queued.
func (c *Conn) flush() {
	for c.out.n > 0 {
		fill(&c.l.sys.vector, &c.out, nil)
		offered := c.l.sys.vector.Bytes
		n, errno := c.l.sys.sendv(c.fd, 0)
		if errno != 0 && errno != unix.EAGAIN {
			c.fault(errno)
			return
		}
		c.l.blocks.consume(&c.out, n)
		if n < offered {
			c.flags |= stuck
			c.l.later(c)
			return
		}
	}
}

// unstick sends what waits, now that the kernel may take it.
func (c *Conn) unstick() {
	c.flush()
	if c.flags&failed == 0 && c.out.n == 0 {
		c.drained()
	}
}

// Pending returns how many bytes the kernel has not taken when it was offered
// them.
func (c *Conn) Pending() int {
	if c.flags&stuck != 0 || c.overdue() {
		return c.out.n
	}
	return 0
}

// drained goes on when the kernel has taken all.
func (c *Conn) drained() {
	was := c.flags
	c.flags &^= stuck
	switch {
	case was&closing != 0:
		c.l.release(c)
		return
	case was&shut != 0:
		c.l.sys.shutdown(c.fd)
	}
	if was&stuck != 0 {
		c.h.Drained(c)
	}
}
