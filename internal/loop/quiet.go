package loop

import (
	"time"

	"golang.org/x/sys/unix"
)

// fresh is for how many nanoseconds what the kernel has told counts as what is.
const fresh = int64(time.Millisecond)

// Quiet reports whether nothing has come that was not handed out yet: no data, no
// EOF, no error.
//
// As a rule it asks nobody. If an iteration has collected all events that there
// were, and c has none of them, then nothing had come for c by then. What has come
// since then goes unseen, like what comes when Quiet has returned, and is an event
// of the next iteration; servers that know nothing but events see no more. That time
// is no longer than a millisecond, or c is looked at. With io_uring it is none at
// all as long as the kernel says that it has nothing to collect for anybody.
//
// Else, also if c has an event in this iteration, handled or not, it costs a
// system call, and what has come by now is seen.
func (c *Conn) Quiet() bool {
	if c.flags&(closed|closing|failed|eof|ended) != 0 || c.in.n > 0 {
		return false
	}
	if c.told() {
		return true
	}
	// In this order: what the kernel takes from the socket it puts there.
	if c.l.sys.peek(c.fd) != unix.EAGAIN || c.l.io.arrived(c) {
		return false
	}
	c.flags &^= unsure
	return true
}

// told reports whether the kernel would have told if something had come for c.
func (c *Conn) told() bool {
	l := c.l
	return l.running && l.all && c.moved != l.turn() && l.io.watches(c) && (l.io.still() || l.clock()-l.now <= fresh)
}

// stir notes that c has an event in this iteration, or is watched from now on.
func (c *Conn) stir() { c.moved = c.l.turn() }

// turn is a number of the iteration. That it comes again costs a system call.
func (l *Loop) turn() uint16 { return uint16(l.sys.stats.Iterations) }

// mark stirs the connections that have an event, before any of them is handled.
func (e *epoll) mark(n int) {
	for i := range n {
		ev := &e.events[i]
		if slot := uint32(ev.Fd); slot < listenSlots {
			if c := e.l.lookup(slot, uint32(ev.Pad)); c != nil {
				c.stir()
			}
		}
	}
}

// mark does so for what was received. Anything else says nothing of what comes.
func (u *uring) mark() {
	for i, n := u.ring.head, u.ring.ready(); n > 0; i, n = i+1, n-1 {
		if data := uint32(u.ring.at(i).data); token(data>>slotBits) == tokenReceive {
			u.l.conn(data & (1<<slotBits - 1)).stir()
		}
	}
}

// watches implements engine. What comes while c is registered is an event, for
// read empties the socket, but for what it remembers.
func (*epoll) watches(c *Conn) bool {
	return c.flags&(registered|connecting|readable|hangup|unsure) == registered
}

// watches implements engine.
func (*uring) watches(c *Conn) bool { return c.busy&(receiving|dropping) == receiving }

// still implements engine: epoll would have to be asked.
func (*epoll) still() bool { return false }

// still implements engine. The kernel puts what is to complete aside, and says
// when it begins to.
func (u *uring) still() bool { return !u.ring.more() }

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
