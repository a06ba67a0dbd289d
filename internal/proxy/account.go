package proxy

import (
	"sync/atomic"

	"lbctl/internal/lb"
)

// Account is what is counted of a service or a backend, for as long as it is
// configured, whatever else changes.
//
// A service's connections are those that clients made to it, a backend's those
// that were made to the backend. A backend's requests are attempts: those that
// went elsewhere in the end are its retries. Bytes are heads and bodies as they
// crossed the socket; in is towards the backend. Errors are answers that the
// proxy made up (502, 503, 504) or had to cut off because the backend did.
type Account struct {
	connections, requests, bytesIn, bytesOut, errors, retries atomic.Uint64
	active                                                    atomic.Int64
}

func (a *Account) begin() {
	a.requests.Add(1)
	a.active.Add(1)
}

func (a *Account) end() { a.active.Add(-1) }

// InFlight is how many requests are being answered.
func (a *Account) InFlight() uint64 { return uint64(max(a.active.Load(), 0)) }

// Read returns the counters.
func (a *Account) Read() lb.Counters {
	return lb.Counters{
		Connections: a.connections.Load(), Requests: a.requests.Load(),
		BytesIn: a.bytesIn.Load(), BytesOut: a.bytesOut.Load(),
		Errors: a.errors.Load(), Retries: a.retries.Load(),
		Active: a.InFlight(),
	}
}
