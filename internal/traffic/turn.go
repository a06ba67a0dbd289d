package traffic

import (
	"time"

	"lbctl/internal/loop"
)

// What a conn hears of its socket, as a loop.Handler, and what it sends.

func (c *conn) Connected(*loop.Conn) {}

func (c *conn) Data(_ *loop.Conn, b []byte) {
	if c.state == lingering {
		if c.waste += len(b); c.waste > maxWaste {
			c.cut()
		}
		return
	}
	if len(c.held) > 0 {
		c.held = append(c.held, b...)
		b = c.held
	}
	c.spoken = 0
	c.turn(b)
}

func (c *conn) Drained(*loop.Conn) { c.resume() }

// EOF comes when nothing is in progress that could still be answered, for a conn
// that is not open, or has something to send, is paused.
func (c *conn) EOF(*loop.Conn) { c.part() }

func (c *conn) Expired(*loop.Conn) { c.cut() }

func (c *conn) Closed(*loop.Conn, error) { c.loop.forget(c) }

// woken: the alarm has come.
func (c *conn) woken() {
	c.asleep = false
	if c.state == gone {
		c.loop.spare = append(c.loop.spare, c)
		return
	}
	if c.answer.delay > 0 {
		c.answer.delay = 0
		c.respond()
	}
	c.resume()
}

// resume goes on after a wait.
func (c *conn) resume() {
	c.spoken = 0
	c.flush()
	c.turn(c.held)
}

// turn reads and answers what it can of b, keeps the rest of it, and decides how
// the connection goes on.
func (c *conn) turn(b []byte) {
	for {
		before := len(b)
		b = c.take(b)
		c.flush()
		if c.waits() || c.spoken >= fullTurn || len(b) == before || len(b) == 0 {
			break
		}
	}
	c.keep(b)
	switch {
	case c.state == last && c.filler == 0 && len(b) == 0, c.loop.closing && c.idle():
		c.part()
	case c.state == last && c.filler == 0, c.state == lingering:
		c.linger()
	case c.spoken >= fullTurn && !c.asleep && c.tcp.Pending() == 0:
		c.sleep(0)
		c.tcp.Pause()
	case c.waits():
		c.tcp.Pause()
	default:
		c.tcp.Resume()
	}
}

// waits reports whether no more requests may be read now.
func (c *conn) waits() bool {
	return c.state != open || c.asleep || c.filler > 0 || c.tcp.Pending() > 0
}

// sleep lets d pass before the conn goes on; if it is 0, the others' turns.
func (c *conn) sleep(d time.Duration) {
	c.asleep = true
	c.loop.wake(c, c.loop.clock.now()+int64(d))
}

// keep keeps b, which may be the end of held, for later.
func (c *conn) keep(b []byte) {
	if len(b) == 0 && cap(c.held) > maxHeld {
		c.held = nil
		return
	}
	c.held = append(c.held[:0], b...)
}

// flush sends the loop's out and then filler, up to 256 KiB with each system call,
// as long as the kernel takes it and until the turn is over.
func (c *conn) flush() {
	l := c.loop
	for len(l.out) > 0 || c.filler > 0 && c.tcp.Pending() == 0 && c.spoken < fullTurn {
		l.pieces = append(l.pieces[:0], l.out)
		c.spoken += len(l.out)
		for c.filler > 0 && len(l.pieces) < 5 {
			piece := filler[:min(c.filler, int64(len(filler)))]
			l.pieces = append(l.pieces, piece)
			c.filler -= int64(len(piece))
			c.spoken += len(piece)
		}
		c.tcp.WriteBuffers(l.pieces)
		l.out = l.out[:0]
	}
}

// linger reads on for a moment after the last answer: closing with unread input
// would make the kernel send a reset, which can take the answer away from the
// client (RFC 9112, 9.6).
func (c *conn) linger() {
	c.state = lingering
	c.keep(nil)
	c.tcp.Shutdown()
	c.tcp.Deadline(maxLinger)
	c.tcp.Resume()
}

// part closes when the kernel has taken all.
func (c *conn) part() {
	c.tcp.CloseWhenDrained()
	c.loop.forget(c)
}

// cut closes.
func (c *conn) cut() {
	c.tcp.Close()
	c.loop.forget(c)
}
