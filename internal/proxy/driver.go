package proxy

import (
	"net/netip"
	"time"
)

// Conn is the socket of a connection, as far as the proxy acts on it. No method
// calls back. After Close, CloseWhenDrained or Abort no event comes any more.
type Conn interface {
	Write(b []byte)           // sends all of it in time; b is the caller's again at return
	WriteBuffers(bs [][]byte) // the same, of several pieces
	WriteLast(bs [][]byte)    // the same; Shutdown or CloseWhenDrained follows at once, and FIN may go with them
	Pending() int             // bytes that the peer has no room for yet; Drained follows when they are gone
	Bulk(on bool)             // Driver.Forward will be called in Data, which should leave something for it
	Pause()                   // no Data until Resume
	Resume()
	Shutdown() // FIN after what is pending
	Close()    // at once
	CloseWhenDrained()
	Abort()                   // RST
	Deadline(d time.Duration) // Expired after d, unless set again; 0: never
}

// Driver makes connections and knows the time.
type Driver interface {
	// Connect begins to connect to a backend and returns at once; b.Connected or
	// b.Closed follows, later.
	Connect(b *BackendConn, addr netip.AddrPort) Conn
	// Alive reports whether a connection that was kept can be used, or one that was used be
	// closed: nothing has come, also no FIN. What came in the last millisecond may go unseen.
	Alive(c Conn) bool
	// Forward writes bs to another connection, and after that up to n bytes that have
	// come on from and not yet as Data. It returns how many of them. It is called in
	// from's Data, and calls nobody back.
	Forward(from, to Conn, bs [][]byte, n uint64) uint64
	// Now is a monotonic clock in nanoseconds that may lag by an event's time.
	Now() int64
	// After calls f once, in the Core's thread and from no other call, when d has
	// passed. It may be late by some 30 ms.
	After(d time.Duration, f func()) Timer
}

// Timer is what After has set.
type Timer interface {
	Stop() // prevents the call, if it has not come yet
}
