package loop

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// flags say in which state a connection is.
type flags uint16

const (
	connecting flags = 1 << iota
	closed           // nothing may be called on the handler any more
	failed           // a write met Conn.errno; Closed follows
	paused
	readable   // epoll: the socket may have something to read
	hangup     // epoll: what it has ends with EOF or an error, or a read may end before urgent data
	eof        // EOF has been called
	shut       // Shutdown was called
	stuck      // the kernel did not take all when it was offered
	closing    // CloseWhenDrained was called
	registered // epoll knows the descriptor
	queued     // in Loop.visits
	ended      // io_uring: EOF or errno follows what is in Conn.in
	bulk       // Bulk was called: Data comes with few bytes at a time
	unsure     // epoll: Forward took what it wanted, and there may be more that is no event any more
)

// linger bounds how long CloseWhenDrained waits if no deadline was set.
const linger = time.Minute

// Conn is a stream socket on a loop.
type Conn struct {
	// User is its owner's.
	User any

	l     *Loop
	h     Handler
	out   queue // written, and not taken by the kernel
	in    queue // io_uring: received, and held back by Pause
	peer  netip.AddrPort
	alarm alarm
	slot  uint32
	gen   uint32 // differs between the connections that a slot has had
	fd    int32
	flags flags
	errno uint16
	busy  busy   // io_uring: operations in flight
	moved uint16 // the iteration in which it had an event, or the kernel was asked to watch it
	due   uint32 // io_uring: the iteration in which a send is over as a rule
}

// SetHandler makes h hear what follows.
func (c *Conn) SetHandler(h Handler) {
	if c.flags&(closed|closing) == 0 {
		c.h = h
	}
}

// Handler returns who hears of c.
func (c *Conn) Handler() Handler { return c.h }

// Loop returns the loop that c is on.
func (c *Conn) Loop() *Loop { return c.l }

// FD returns the descriptor, which stays the loop's.
func (c *Conn) FD() int { return int(c.fd) }

// Peer returns the other end's address, which is not valid for a Unix socket.
func (c *Conn) Peer() netip.AddrPort { return c.peer }

// Open reports whether c is neither closed nor about to be.
func (c *Conn) Open() bool { return c.flags&(closed|closing|failed) == 0 }

// Deadline has Expired called when d has passed since Now, at most two ticks of
// 17 ms late, unless it is called again before that. 0 means never. It costs a
// few instructions as a rule: a deadline that moves away is found out when the
// old one passes.
func (c *Conn) Deadline(d time.Duration) {
	switch {
	case c.flags&closed != 0:
	case d <= 0:
		c.alarm.due = 0
	default:
		c.l.wheel.set(&c.alarm, c.l.Now()+int64(d))
	}
}

// Pause stops Data and what follows it, EOF and the end by a reset, until Resume.
func (c *Conn) Pause() { c.flags |= paused }

// Resume lets Data come again, from the next iteration on.
func (c *Conn) Resume() {
	if c.flags&(paused|closed) != paused {
		return
	}
	c.flags &^= paused
	c.l.later(c)
}

// Paused reports whether Pause was called last.
func (c *Conn) Paused() bool { return c.flags&paused != 0 }

// Shutdown sends FIN after what is pending. What is written later is dropped.
func (c *Conn) Shutdown() {
	if c.flags&(shut|closed|failed) != 0 {
		return
	}
	c.flags |= shut
	if c.out.n == 0 && c.flags&connecting == 0 {
		c.l.sys.shutdown(c.fd)
	}
}

// Close closes c now and drops what is pending. No call comes any more.
func (c *Conn) Close() {
	if c.flags&closed == 0 {
		c.l.release(c)
	}
}

// CloseWhenDrained closes c as soon as the kernel has taken what is pending, or
// when the deadline passes. No call comes any more, and what still arrives is
// dropped. Without a deadline c gets one of a minute.
func (c *Conn) CloseWhenDrained() {
	switch {
	case c.flags&(closed|closing) != 0:
	case c.out.n == 0:
		c.Close()
	default:
		c.flags |= closing
		c.h = lingering{}
		c.Resume()
		if c.alarm.due == 0 {
			c.Deadline(linger)
		}
	}
}

// Abort closes c with a RST and drops what is pending.
func (c *Conn) Abort() {
	if c.flags&closed == 0 {
		c.l.sys.linger(c.fd)
		c.l.release(c)
	}
}

// Detach takes the socket out of the loop and returns it, open and non-blocking.
// What the kernel does not take now is dropped. With io_uring the kernel may have received for c
// already: that comes as Data, also if c is paused, before Detach returns. It
// returns -1 if c is closed.
func (c *Conn) Detach() int {
	if c.flags&(closed|failed|connecting) != 0 {
		return -1
	}
	c.l.io.withdraw(c)
	if c.flags&closed != 0 {
		return -1 // by its handler, in a last Data
	}
	if c.out.n > 0 {
		c.flush()
	}
	fd := c.fd
	c.fd = -1
	c.l.release(c)
	return int(fd)
}

// fault remembers that a write has failed. It may be deep in a handler's call,
// so Closed comes later.
func (c *Conn) fault(errno unix.Errno) {
	c.flags |= failed
	c.errno = uint16(errno)
	c.l.blocks.drop(&c.out)
	c.l.later(c)
}
