package proxy

import (
	"lbctl/internal/accesslog"
	"lbctl/internal/http1"
)

const (
	// maxRemade bounds the request that is kept to be sent a second time.
	maxRemade = 64 << 10
	// maxAhead is how much of a body may wait for its receiver before the sender
	// is told to wait, too. It is what nginx's default of eight buffers holds.
	maxAhead = 64 << 10
)

var crlf = []byte("\r\n")

// body takes more of the request's body and returns how much.
func (x *Exchange) body(b []byte) (used int) {
	c := x.core
	c.head, c.pieces = c.head[:0], c.pieces[:0]
	for used < len(b) && !x.whole {
		data, n, done, err := x.inBody.Next(b[used:])
		x.trace.bodyIn += uint64(n)
		if err != nil {
			x.fail(failure{status: err.Status, end: accesslog.BadRequest, reason: "the request's body broke off or is malformed", client: true})
			return len(b)
		}
		used += n
		if x.received += int64(len(data)); x.service.HTTP.MaxBody > 0 && x.received > x.service.HTTP.MaxBody {
			x.fail(failure{status: 413, end: accesslog.BadRequest, reason: "the request's body is too large", client: true})
			return len(b)
		}
		c.gather(data, x.chunked)
		if done {
			x.whole = true
			if x.chunked {
				c.finishChunks(x.requestEdits().trailers(x.inBody.Trailers()))
			}
		}
	}
	x.passBody()
	return used
}

// passBody sends what was gathered, or keeps it until there is a backend.
func (x *Exchange) passBody() {
	if x.whole {
		x.client.phase = clientWaits
	}
	x.client.listenFor(x)
	switch x.stage {
	case stageRequest, stageConnects:
		x.append()
	case stageWaits, stageRelays:
		if x.remade {
			x.append()
			if len(x.out) > maxRemade {
				x.remade = false
			}
			x.forget()
		}
		x.backend.writePieces(x.core.pieces)
		if x.stage == stageWaits {
			x.await()
		}
	}
	x.relieve()
}

func (x *Exchange) append() {
	for _, p := range x.core.pieces {
		x.out = append(x.out, p...)
	}
}

// relieve makes the client wait for a backend that is slower, and no longer.
func (x *Exchange) relieve() {
	waiting, most := 0, maxAhead
	switch {
	case x.whole || x.stage > stageRelays:
	case x.backend != nil && x.stage >= stageWaits:
		waiting = x.backend.conn.Pending()
	default:
		waiting = len(x.out)
		if x.gathers {
			most = max(most, x.service.HTTP.BufferRequest)
		}
	}
	off := waiting > most || x.clientOff && waiting > 0
	if off == x.clientOff {
		return
	}
	x.clientOff = off
	if off {
		x.client.heed()
		x.client.conn.Deadline(0) // it is the backend who is slow
		if x.backend != nil && x.stage >= stageWaits {
			x.backend.conn.Deadline(x.service.HTTP.BackendHeadTimeout)
		}
	} else {
		x.client.heed()
		x.client.listenFor(x)
	}
}

// gathering reports whether more of the request must come before it goes to a backend.
func (x *Exchange) gathering() bool { return !x.whole && len(x.out) <= x.service.HTTP.BufferRequest }

// listenFor bounds how long the client may take to send more of a body. One that
// stands in line need not: it may wait to be told to go on (Expect: 100-continue).
func (c *ClientConn) listenFor(x *Exchange) {
	if x.whole || x.queued != 0 {
		c.conn.Deadline(0)
	} else {
		c.conn.Deadline(x.service.HTTP.ClientBodyTimeout)
	}
}

// gather adds a piece of a body to what is to be written.
func (c *Core) gather(data []byte, chunked bool) {
	if len(data) == 0 {
		return
	}
	if !chunked {
		c.pieces = append(c.pieces, data)
		return
	}
	at := len(c.head)
	c.head = http1.AppendChunkHead(c.head, uint64(len(data)))
	c.pieces = append(c.pieces, c.head[at:], data, crlf)
}

func (c *Core) finishChunks(trailers []http1.Field) {
	at := len(c.head)
	c.head = http1.AppendLastChunk(c.head, trailers)
	c.pieces = append(c.pieces, c.head[at:])
}
