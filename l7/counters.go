package l7

import (
	"sync/atomic"

	"lbctl/internal/lb"
)

// counters belong to a service or a backend and live as long as it is
// configured, whatever else changes.
//
// A service's connections are those that clients made to it, a backend's those
// that the proxy made to the backend. A backend's requests are attempts: those
// that went elsewhere in the end are its retries. Bytes are heads and bodies as
// they crossed the socket. Errors are answers that the proxy made up (502, 503,
// 504) or had to cut off because the backend did.
type counters struct {
	connections, requests, bytesIn, bytesOut, errors, retries atomic.Uint64
	active                                                    atomic.Int64
}

func (c *counters) begin() {
	c.requests.Add(1)
	c.active.Add(1)
}

func (c *counters) end() { c.active.Add(-1) }

func (c *counters) read() lb.Counters {
	return lb.Counters{
		Connections: c.connections.Load(), Requests: c.requests.Load(),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		Errors: c.errors.Load(), Retries: c.retries.Load(),
		Active: uint64(max(c.active.Load(), 0)),
	}
}
