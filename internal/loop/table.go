package loop

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// slab is how many Conns are allocated at once: so many, and the word that the
// runtime puts in front of them, fill one of its sizes.
const slab = 63

// conn returns what has been at a slot last.
func (l *Loop) conn(slot uint32) *Conn { return &l.conns[slot/slab][slot%slab] }

// grow returns a Conn at a new slot.
func (l *Loop) grow() *Conn {
	if l.slots%slab == 0 {
		l.conns = append(l.conns, new([slab]Conn))
	}
	c := l.conn(l.slots)
	c.l, c.slot, c.alarm.c = l, l.slots, c
	l.slots++
	return c
}

// take returns a Conn for a descriptor.
func (l *Loop) take(fd int32, h Handler, peer netip.AddrPort) *Conn {
	var c *Conn
	if n := len(l.free); n > 0 {
		c = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		c = l.grow()
	}
	c.fd, c.h, c.peer, c.flags, c.busy = fd, h, peer, 0, 0
	l.sys.stats.Conns++
	return c
}

// lookup returns the open connection that an event is for, nil if it has gone.
func (l *Loop) lookup(slot, gen uint32) *Conn {
	if c := l.conn(slot); c.gen == gen {
		return c
	}
	return nil
}

// release closes c. Handlers up the stack may still hold it, so that it is not
// free before the iteration's end.
func (l *Loop) release(c *Conn) {
	c.flags |= closed
	c.gen++
	l.wheel.remove(&c.alarm)
	c.alarm.due = 0
	l.sys.stats.Conns--
	l.io.release(c)
}

// fail closes c and tells its handler why. The loop calls it, never a method of
// Conn.
func (l *Loop) fail(c *Conn, errno unix.Errno) {
	h := c.h
	l.release(c)
	h.Closed(c, errno)
}

// bury frees what was closed, but for those that are still to be visited.
func (l *Loop) bury() {
	kept := l.dead[:0]
	for _, c := range l.dead {
		if c.flags&queued != 0 {
			kept = append(kept, c)
			continue
		}
		c.h, c.User = nil, nil
		l.free = append(l.free, c)
	}
	l.dead = kept
}
