package loop

import (
	"golang.org/x/sys/unix"

	"lbctl/internal/splice"
)

// Bulk says whether much is to come that Forward can hand on. Data then comes a
// few KiB at a time, so that there is something left for it. With io_uring that
// begins when the kernel has let go of the receive that is armed.
func (c *Conn) Bulk(on bool) {
	if c.flags&closed != 0 {
		return
	}
	c.flags &^= bulk
	if on && c.l.pipe.Open() {
		c.flags |= bulk
	}
	c.l.io.bulk(c)
}

// Forward writes bs to another connection of the loop, and after that up to n bytes
// that the kernel has received for c, without a copy where that pays. It returns how many of
// them: they do not come as Data. It may be called within Data only, and
// moves nothing unless Bulk is on and the other one has nothing pending.
func (c *Conn) Forward(to *Conn, bs [][]byte, n uint64) uint64 {
	switch {
	case n == 0, c.flags&(bulk|closed|failed|eof|paused) != bulk, c.busy&receiving != 0, c.in.n > 0,
		to.flags&mute != 0, to.out.n > 0, !to.free():
		to.WriteBuffers(bs)
		return 0
	case n < splice.Least:
		return c.carry(to, bs, int(n))
	}
	l := c.l
	l.sys.stats.Syscalls++
	got, errno := l.pipe.In(int(c.fd), n)
	if l.took(c, got, errno, uint64(got) == n); got == 0 {
		to.WriteBuffers(bs)
		return 0
	}
	to.push(bs, unix.MSG_MORE)
	left := got
	for left > 0 && to.out.n == 0 && to.flags&(failed|stuck) == 0 {
		l.sys.stats.Syscalls++
		n, errno := l.pipe.Out(int(to.fd), left)
		switch {
		case errno == unix.EAGAIN:
			to.flags |= stuck
		case errno != 0:
			to.fault(errno)
		}
		l.sys.stats.Written += uint64(n)
		left -= n
	}
	if left > 0 {
		l.empty(to)
	}
	return uint64(got)
}

// carry is Forward of few bytes, by a copy into what Data has not used of the scratch.
func (c *Conn) carry(to *Conn, bs [][]byte, n int) uint64 {
	l := c.l
	room := l.scratch[l.used:]
	if room = room[:min(n, len(room))]; len(room) == 0 {
		to.WriteBuffers(bs)
		return 0
	}
	got, errno := l.sys.read(c.fd, room)
	if l.sys.stats.Read -= uint64(got); got > 0 { // took counts it
		l.pair = append(append(l.pair[:0], bs...), room[:got])
		bs = l.pair
	}
	l.took(c, got, errno, got == n)
	to.WriteBuffers(bs)
	clear(l.pair)
	return uint64(got)
}

// took notes what was taken from c's socket. EOF is left for Data's read to find.
// all says that it is all that is wanted: what has come beyond that is found by
// Quiet, and what comes later is an event.
func (l *Loop) took(c *Conn, got int, errno unix.Errno, all bool) {
	l.sys.stats.Read += uint64(got)
	switch {
	case errno == unix.EAGAIN, errno == 0 && all:
		if c.flags&hangup == 0 {
			c.flags &^= readable
		}
		if all {
			c.flags |= unsure
		}
	case errno == 0, errno == unix.EINTR:
	case !l.pipe.Open(): // the kernel does not splice this
		c.flags &^= bulk
		l.io.bulk(c)
	default:
		c.fault(errno)
	}
}

// empty makes what is left in the pipe wait until c's peer takes it.
func (l *Loop) empty(c *Conn) {
	for {
		b := l.blocks.get(largeBlock)
		l.sys.stats.Syscalls++
		if b.w = l.pipe.Read(b.b); b.w == 0 || c.flags&failed != 0 {
			l.blocks.put(b)
			if b.w == 0 {
				break
			}
			continue
		}
		c.out.add(b)
	}
	if c.out.n > 0 {
		c.offer()
	}
}

// room is where c's next bytes are read to.
func (l *Loop) room(c *Conn) []byte {
	if c.flags&bulk != 0 {
		return l.scratch[:min(splice.Head, len(l.scratch))]
	}
	return l.scratch
}

// handOut gives c's handler the beginning of the scratch.
func (l *Loop) handOut(c *Conn, b []byte) {
	l.used = len(b)
	c.h.Data(c, b)
	l.used = 0
}
