package l7

import (
	"lbctl/internal/loop"
	"lbctl/internal/proxy"
)

// clientSide and backendSide pass what a loop says of a connection on to the
// proxy. They are pointers in disguise, so an interface of them allocates nothing.
type (
	clientSide  struct{ c *proxy.ClientConn }
	backendSide struct{ b *proxy.BackendConn }
)

// Connected implements loop.Handler. A client's connection was made before.
func (clientSide) Connected(*loop.Conn)             {}
func (s clientSide) Data(_ *loop.Conn, b []byte)    { s.c.Data(b) }
func (s clientSide) EOF(*loop.Conn)                 { s.c.EOF() }
func (s clientSide) Drained(*loop.Conn)             { s.c.Drained() }
func (s clientSide) Expired(*loop.Conn)             { s.c.Expired() }
func (s clientSide) Closed(_ *loop.Conn, err error) { s.c.Closed(err) }

// Connected implements loop.Handler.
func (s backendSide) Connected(*loop.Conn)           { s.b.Connected() }
func (s backendSide) Data(_ *loop.Conn, b []byte)    { s.b.Data(b) }
func (s backendSide) EOF(*loop.Conn)                 { s.b.EOF() }
func (s backendSide) Drained(*loop.Conn)             { s.b.Drained() }
func (s backendSide) Expired(*loop.Conn)             { s.b.Expired() }
func (s backendSide) Closed(_ *loop.Conn, err error) { s.b.Closed(err) }
