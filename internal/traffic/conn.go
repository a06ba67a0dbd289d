package traffic

import (
	"hash"
	"net/netip"
	"time"

	"lbctl/internal/http1"
	"lbctl/internal/loop"
)

// conn is one connection to a server. take reads requests from what has come and
// appends their answers to the loop's out, which flush sends: so pipelined requests
// share a write. Nothing in between does I/O.
type conn struct {
	loop   *serverLoop
	tcp    *loop.Conn
	index  int // in loop.conns
	state  connState
	asleep bool // an alarm is to come, and nothing is read before it

	held   []byte // has come and is still to be read: a part of a head, or what came while the conn was not open
	parser http1.Parser
	within bool // a request's body
	body   http1.Body
	sum    hash.Hash // of the body, nil if nobody wants to know
	answer answer    // to that request
	filler int64     // bytes of an answer's body still to be sent
	spoken int       // bytes sent in this turn
	waste  int       // bytes read while lingering

	asked  bool // for the client that the SYN told of
	client netip.AddrPort
}

// connState says what a conn does.
type connState uint8

const (
	open      connState = iota // reads requests
	last                       // reads no more: it ends when all is sent
	lingering                  // has answered what is no HTTP, and waits for the client to close
	gone                       // is closed
)

const (
	flushAt   = 64 << 10 // so much of small answers is sent in one go
	fullTurn  = 1 << 20  // so much is sent before others have their turn
	maxWaste  = 1 << 20
	maxHeld   = 4 << 10 // a larger buffer is not kept
	maxLinger = time.Second
)

func (c *conn) reset(l *serverLoop, tcp *loop.Conn) {
	held := c.held[:0]
	*c = conn{loop: l, tcp: tcp, held: held}
	c.parser.Limits, c.body.Limits = &limits, &limits
}

// idle reports whether no request is in progress.
func (c *conn) idle() bool {
	return c.state == open && !c.asleep && !c.within && len(c.held) == 0 && c.filler == 0
}

// take reads requests from b until it must wait, and returns what is left.
func (c *conn) take(b []byte) []byte {
	for c.state == open && !c.asleep && c.filler == 0 && len(b) > 0 && len(c.loop.out) < flushAt {
		var n int
		var err *http1.Error
		if c.within {
			n, err = c.readBody(b)
		} else if n, err = c.parser.Request(b, &c.loop.request); n > 0 {
			c.begin(&c.loop.request)
		} else if err == nil {
			return b
		}
		if err != nil {
			c.refuse(err)
			return nil
		}
		b = b[n:]
	}
	return b
}

// begin takes a request's head.
func (c *conn) begin(r *http1.Request) {
	persists := r.KeepAlive && !c.loop.closing
	if r.Method == http1.GET && len(r.Target) == 1 && r.Minor == 1 && r.Body == http1.NoBody {
		c.answerRoot(persists)
		return
	}
	c.answer = c.route(r)
	c.answer.head, c.answer.close, c.answer.persist = r.Method == http1.HEAD, !persists, persists && r.Minor == 0
	if r.Expect100 {
		c.loop.out = append(c.loop.out, "HTTP/1.1 100 Continue\r\n\r\n"...)
	}
	c.body.Start(r.Body, r.Length)
	if c.within = !c.body.Done(); !c.within {
		c.respond()
	}
}

func (c *conn) readBody(b []byte) (int, *http1.Error) {
	payload, n, done, err := c.body.Next(b)
	if err != nil {
		return 0, err
	}
	if c.sum != nil {
		c.sum.Write(payload)
	}
	if done {
		c.within = false
		c.respond()
	}
	return n, nil
}

// refuse answers what is not HTTP.
func (c *conn) refuse(err *http1.Error) {
	c.answer = answer{status: err.Status, kind: "text/plain", body: []byte(err.Reason + "\n"), close: true}
	c.respond()
	c.state = lingering
}
