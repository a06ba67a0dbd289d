package proxy

import "time"

// BackendConn is a connection to a backend.
type BackendConn struct {
	conn  Conn
	pool  *pool
	x     *Exchange // nil while it is kept for another request
	link  link[BackendConn]
	born  int64 // when it was made, by the driver's clock
	used  bool  // a request has gone over it before this one
	ended bool
	bulk  bool // its last answer, or the one that is coming, is large
}

// connect begins a connection to a member for an exchange.
func (c *Core) connect(x *Exchange, m *Member) {
	p := c.poolOf(m.Endpoint)
	b := &BackendConn{pool: p, x: x, born: x.attempted}
	p.all.add(&b.link, b)
	x.backend = b
	b.conn = c.driver.Connect(b, p.endpoint.Addr)
	b.conn.Deadline(x.service.HTTP.ConnectTimeout)
}

// Connected hears that the connection is made.
func (b *BackendConn) Connected() {
	b.pool.endpoint.Account.AddConnection()
	b.x.trace.connect = time.Duration(b.pool.core.driver.Now() - b.x.attempted)
	b.x.send()
}

// Kept reports whether no request is on the connection.
func (b *BackendConn) Kept() bool { return b.x == nil }

// Data takes what the backend sent.
func (b *BackendConn) Data(p []byte) {
	b.pool.endpoint.Account.AddBytesOut(len(p))
	if b.x == nil { // nobody asked
		b.shut(b.conn.Close)
		return
	}
	b.x.heard = true
	b.x.fromBackend(p)
}

// EOF hears that the backend sends no more.
func (b *BackendConn) EOF() {
	x := b.x
	if x == nil {
		b.shut(b.conn.Close)
		return
	}
	x.backendEnded(nil)
}

// Drained hears that the backend has taken everything.
func (b *BackendConn) Drained() {
	if b.x != nil {
		b.x.backendDrained()
	}
}

// Expired hears that the backend was too slow.
func (b *BackendConn) Expired() {
	if b.x == nil {
		b.shut(b.conn.Close)
		return
	}
	b.x.backendExpired()
}

// Closed hears that the connection has gone, or was never made.
func (b *BackendConn) Closed(err error) {
	x := b.x
	b.shut(gone)
	if x != nil {
		x.backendEnded(err)
	}
}

func (b *BackendConn) write(p []byte) {
	b.pool.endpoint.Account.AddBytesIn(len(p))
	b.conn.Write(p)
}

func (b *BackendConn) writePieces(pieces [][]byte) {
	if n := sizeOf(pieces); n > 0 {
		b.pool.endpoint.Account.AddBytesIn(n)
		b.conn.WriteBuffers(pieces)
	}
}

// expect tells the socket whether an answer of which much can be forwarded is on its
// way. The next one on this connection is taken to be like it.
func (b *BackendConn) expect(bulk bool) {
	if b.bulk != bulk {
		b.bulk = bulk
		b.conn.Bulk(bulk)
	}
}

// shut ends the connection, if it has not ended.
func (b *BackendConn) shut(how func()) {
	if b.ended {
		return
	}
	b.ended = true
	b.pool.all.remove(&b.link)
	b.pool.lose(b)
	how()
}

func (c *ClientConn) write(p []byte) {
	c.sent(len(p))
	c.conn.Write(p)
}

// writePieces writes part of an answer; last says that the connection ends with it.
func (c *ClientConn) writePieces(pieces [][]byte, last bool) {
	c.sent(sizeOf(pieces))
	if last {
		c.conn.WriteLast(pieces)
	} else {
		c.conn.WriteBuffers(pieces)
	}
}

func (c *ClientConn) sent(n int) {
	c.front.Service().Account.AddBytesOut(n)
	if c.x != nil {
		c.x.trace.out += uint64(n)
	}
}

func sizeOf(pieces [][]byte) (n int) {
	for _, p := range pieces {
		n += len(p)
	}
	return n
}
