package proxy

import (
	"net/netip"
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/http1"
)

// lingerTimeout is how long what a client still sends is read and thrown away
// after its last answer. Closing at once would reset the connection, and the
// reset may overtake the answer (RFC 9112, section 9.6).
const lingerTimeout = 5 * time.Second

// drainTime is how long a connection that is to end may be idle. Closing it at once
// would fail the request that a client is just sending.
const drainTime = time.Second

// closeTime is how long a peer may take what is pending when its connection ends.
const closeTime = 30 * time.Second

// clientPhase says who takes what a client sends.
type clientPhase uint8

const (
	clientIdle     clientPhase = iota // nobody yet: between requests
	clientSends                       // the parser: part of a head is there
	clientBody                        // the exchange: a request's body
	clientWaits                       // nobody: for the answer; it may send the next request already
	clientTunnels                     // the backend
	clientDiscards                    // nobody any more, see lingerTimeout
	clientClosed
)

// ClientConn is a connection that a client made. Most of them are idle, so what
// only requests need is not in it but lent by the Core.
type ClientConn struct {
	core   *Core
	conn   Conn
	front  *Front
	addr   netip.AddrPort
	link   link[ClientConn]
	parser *http1.Parser // of the head that is begun; nil: none is
	in     []byte        // received, not taken yet; nil: nothing
	x      *Exchange     // nil: none is under way

	left   int // pending bytes when the deadline was set
	phase  clientPhase
	taking bool // take is on the stack
	paused bool // there is too much of in; another reason is Exchange.clientOff
	reused bool // it has carried a request
}

// Accept begins with a connection that a client at addr made to a front, which
// must have a service.
func (c *Core) Accept(conn Conn, f *Front, addr netip.AddrPort) *ClientConn {
	k := c.join(conn, f, netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()))
	f.clients.Add(1)
	f.Service().Account.AddConnection()
	conn.Deadline(f.Service().HTTP.ClientHeadTimeout)
	return k
}

// Resume goes on with a client that has left another Core; reused is what its Reused was.
func (c *Core) Resume(conn Conn, f *Front, addr netip.AddrPort, reused bool) *ClientConn {
	k := c.join(conn, f, addr)
	k.reused = reused
	conn.Deadline(k.idleTime())
	return k
}

func (c *Core) join(conn Conn, f *Front, addr netip.AddrPort) *ClientConn {
	k := c.client()
	k.core, k.conn, k.front, k.addr = c, conn, f, addr
	c.clients.add(&k.link, k)
	return k
}

// Leave lets go of a client that neither side has anything to say to, without
// closing its connection, and reports whether it was one.
func (c *ClientConn) Leave() bool {
	if c.phase != clientIdle || len(c.in) > 0 || c.conn.Pending() > 0 {
		return false
	}
	c.front.clients.Add(1) // it goes on elsewhere
	c.shut(gone)
	return true
}

// Front is where the client connected to.
func (c *ClientConn) Front() *Front { return c.front }

// Addr is the client's.
func (c *ClientConn) Addr() netip.AddrPort { return c.addr }

// Reused reports whether the connection has carried a request.
func (c *ClientConn) Reused() bool { return c.reused }

// Data takes what the client sent.
func (c *ClientConn) Data(b []byte) {
	if c.phase == clientClosed {
		return
	}
	c.front.Service().Account.AddBytesIn(len(b))
	if len(c.in) > 0 {
		c.keep(b)
		c.again()
		return
	}
	c.taking = true
	n := c.take(b)
	c.taking = false
	c.keep(b[n:])
}

// take gives input to whoever takes it and returns how much went.
func (c *ClientConn) take(b []byte) (n int) {
	for n < len(b) {
		switch c.phase {
		case clientIdle, clientSends:
			used := 0
			if !c.behind() {
				used = c.head(b[n:])
			}
			if used == 0 {
				return n
			}
			n += used
		case clientBody:
			n += c.x.body(b[n:])
		case clientTunnels:
			c.x.toBackend(b[n:])
			return len(b)
		case clientWaits:
			c.x.start()
			if c.phase == clientWaits {
				return n
			}
		case clientDiscards, clientClosed:
			return len(b)
		}
	}
	if c.x != nil {
		c.x.start() // the head, and as much of the body as came along, go together
	}
	return n
}

// again takes what was kept.
func (c *ClientConn) again() {
	if c.taking {
		return // whoever takes goes on by itself
	}
	c.taking = true
	n := c.take(c.in)
	c.taking = false
	rest := copy(c.in, c.in[n:])
	c.in = c.in[:rest]
	switch {
	case rest == 0 || c.phase == clientClosed:
		c.core.release(c.in)
		c.in = nil
	case c.behind():
		c.hold()
	}
	c.listen()
}

// goOn takes what was kept, and lets the client send again.
func (c *ClientConn) goOn() {
	if len(c.in) > 0 {
		c.again()
	}
	c.listen()
}

// listen lets the client send again.
func (c *ClientConn) listen() {
	if c.paused && c.phase != clientWaits && c.phase != clientClosed && !c.behind() {
		c.paused = false
		c.heed()
	}
}

// behind reports whether the client has left so much of its answers that no further request of it is begun.
func (c *ClientConn) behind() bool { return c.phase == clientIdle && c.conn.Pending() > maxAhead }

// heed has the connection deliver what the client sends, unless there is one of two reasons not to.
func (c *ClientConn) heed() {
	if c.paused || c.x != nil && c.x.clientOff {
		c.conn.Pause()
	} else {
		c.conn.Resume()
	}
}

// keep puts input aside. What a client sends while it waits, or does not take its answers, is bounded.
func (c *ClientConn) keep(b []byte) {
	if len(b) == 0 || c.phase >= clientDiscards {
		return
	}
	if c.in == nil {
		c.in = c.core.buffer()
	}
	c.in = append(c.in, b...)
	if c.phase == clientWaits || c.behind() {
		c.hold()
	}
}

// hold lets the client send no more for now.
func (c *ClientConn) hold() {
	if !c.paused {
		c.paused = true
		c.heed()
	}
}

// head takes a request's head, if it is there whole.
func (c *ClientConn) head(b []byte) (used int) {
	s := c.front.Service()
	if c.phase == clientIdle {
		if string(b) == "\r\n" {
			return len(b) // what old clients send after a body (RFC 9112, section 2.2) begins no request
		}
		c.parser = c.core.parser(&s.limits)
	}
	n, err := c.parser.Request(b, &c.core.request)
	if n > 0 || err != nil {
		c.core.parsers.put(c.parser)
		c.parser = nil
	}
	switch {
	case err != nil:
		c.refuse(err.Status, err.Reason, b)
		return len(b)
	case n == 0:
		if c.phase == clientIdle {
			c.phase = clientSends
			c.conn.Deadline(s.HTTP.ClientHeadTimeout)
		}
		return 0
	}
	c.x = c.core.exchange()
	c.x.trace.headIn = uint64(n)
	c.x.begin(c, s, &c.core.request)
	return n
}

// EOF hears that the client sends no more. One that waits for an answer counts as
// gone, as in nginx: whether it only closed its half cannot be known.
func (c *ClientConn) EOF() {
	switch c.phase {
	case clientTunnels:
		c.x.clientEnded()
	case clientBody, clientWaits:
		c.x.abandon(c.conn.Close)
	case clientIdle, clientSends, clientDiscards:
		c.shut(c.conn.CloseWhenDrained)
	}
}

// Drained hears that the client has taken everything.
func (c *ClientConn) Drained() {
	switch {
	case c.x != nil:
		c.x.clientDrained()
	case c.phase == clientIdle:
		c.goOn()
	}
}

// Expired hears that the client was too slow.
func (c *ClientConn) Expired() {
	switch c.phase {
	case clientSends:
		c.refuse(408, "the request's head did not come in time", c.in)
	case clientIdle, clientDiscards:
		if left := c.conn.Pending(); left > 0 && left != c.left { // it takes its last answer slowly
			c.left = left
			c.conn.Deadline(c.front.Service().HTTP.ClientIdleTimeout)
			return
		}
		c.shut(c.conn.Close)
	case clientBody, clientWaits, clientTunnels:
		c.x.clientExpired()
	}
}

// Closed hears that the client has gone.
func (c *ClientConn) Closed(error) {
	if c.x != nil {
		c.x.abandon(gone)
		return
	}
	c.shut(gone)
}

// gone is how to end a connection that has ended.
func gone() {}

// next begins to wait for the next request, which may be there already.
func (c *ClientConn) next() {
	c.x, c.phase = nil, clientIdle
	c.left = c.conn.Pending()
	c.conn.Deadline(c.idleTime())
	c.goOn()
}

// last closes the connection after its last answer. all says that everything the
// client sent was taken, so that closing resets nothing, unless more has come that
// nobody has read.
func (c *ClientConn) last(all bool) {
	c.x = nil
	if all && len(c.in) == 0 && c.core.driver.Alive(c.conn) {
		c.shut(c.conn.CloseWhenDrained)
		return
	}
	c.phase = clientDiscards
	c.conn.Deadline(lingerTimeout)
	c.conn.Shutdown()
	c.listen()
}

// shut ends the connection, if it has not ended.
func (c *ClientConn) shut(how func()) {
	if c.phase == clientClosed {
		return
	}
	c.phase, c.x = clientClosed, nil
	c.front.clients.Add(-1)
	c.core.clients.remove(&c.link)
	if c.parser != nil {
		c.parser.Reset()
		c.core.parsers.put(c.parser)
		c.parser = nil
	}
	if !c.taking {
		c.core.release(c.in)
		c.in = nil
	}
	how()
	// Whoever is on the stack may look at it until the event is over; the next
	// client comes with another event.
	c.core.spares.put(c)
}

// idleTime is how long the client may be silent between two requests, or before the first.
func (c *ClientConn) idleTime() time.Duration {
	switch h := &c.front.Service().HTTP; {
	case c.front.closed.Load():
		return drainTime
	case c.reused:
		return h.ClientIdleTimeout
	default:
		return h.ClientHeadTimeout
	}
}

// Drain ends a front's client connections, after it was closed: each with its next
// answer, those that are idle when nothing has come for drainTime.
func (c *Core) Drain(f *Front) {
	c.clients.each(func(k *ClientConn) {
		if k.front == f && k.phase == clientIdle && len(k.in) == 0 {
			k.conn.Deadline(drainTime)
		}
	})
}

// Cut ends a front's client connections, whatever they are doing.
func (c *Core) Cut(f *Front) {
	c.clients.each(func(k *ClientConn) {
		if k.front != f {
			return
		}
		if k.x != nil {
			k.x.trace.end = accesslog.Removed
			k.x.abandon(k.conn.Abort)
			return
		}
		k.shut(k.conn.Abort)
	})
}
