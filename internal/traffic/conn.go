package traffic

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// conn is one connection to a server: a goroutine that reads a request, appends
// its answer to out, and writes out when it would otherwise wait for more input.
// So pipelined requests share a write.
type conn struct {
	srv  *Server
	tcp  *net.TCPConn
	in   stream
	out  []byte
	rest bool        // between two requests
	idle atomic.Bool // waiting there

	asked  bool // for the client that the SYN told of
	client netip.AddrPort
}

func newConn(s *Server, tcp *net.TCPConn) *conn {
	c := &conn{srv: s, tcp: tcp}
	c.in.from = c
	return c
}

// Read is where the stream meets the connection.
func (c *conn) Read(p []byte) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	if !c.rest {
		return c.tcp.Read(p)
	}
	c.idle.Store(true)
	defer c.idle.Store(false)
	if c.srv.closing.Load() { // after idle is set: either we see closing or hurry sees idle
		return 0, io.EOF
	}
	return c.tcp.Read(p)
}

// hurry ends the connection if no request is in progress on it.
func (c *conn) hurry() {
	if c.idle.Load() {
		_ = c.tcp.SetReadDeadline(time.Now())
	}
}

func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.tcp.Write(c.out)
	c.out = c.out[:0]
	return err
}

func (c *conn) serve() {
	defer c.tcp.Close()
	for {
		c.rest = len(c.in.buffered()) == 0
		if c.rest && c.in.fill(maxHead) != nil {
			return
		}
		c.rest = false
		c.in.skipEmptyLine()
		head, err := c.in.head()
		if err != nil {
			c.refuse(err)
			return
		}
		req, err := parseRequest(head)
		if err != nil {
			c.refuse(err)
			return
		}
		persists, err := c.answer(&req)
		if err != nil {
			c.refuse(err)
			return
		}
		if !persists {
			_ = c.flush()
			return
		}
	}
}

// refuse answers what is not HTTP, if the client is still there, and reads on for
// a moment: closing with unread input would make the kernel send a reset, which
// can take the answer away from the client (RFC 9112, 9.6).
func (c *conn) refuse(err error) {
	status := 400
	switch {
	case errors.Is(err, errHeadTooLarge):
		status = 431
	case !errors.Is(err, errSyntax):
		return
	}
	c.respond(answer{status: status, kind: "text/plain", body: []byte(err.Error() + "\n"), close: true})
	if c.flush() != nil || c.tcp.CloseWrite() != nil {
		return
	}
	_ = c.tcp.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.CopyN(io.Discard, c.tcp, 1<<20)
}
