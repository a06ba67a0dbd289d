package proxy

import (
	"lbctl/internal/accesslog"
	"lbctl/internal/http1"
)

// bulkLength is from which length on the body of an answer is forwarded without
// looking at it.
const bulkLength = 32 << 10

// maxInterim bounds the interim responses before an answer.
const maxInterim = 32

// fromBackend takes what the backend sent.
func (x *Exchange) fromBackend(p []byte) {
	switch x.stage {
	case stageWaits:
		x.answerHead(p)
	case stageRelays:
		c := x.core
		c.head, c.pieces = c.head[:0], c.pieces[:0]
		x.relay(p)
	case stageTunnels:
		x.toClient(p)
	}
}

// answerHead takes an answer's head, when it is there whole, and what follows it.
func (x *Exchange) answerHead(p []byte) {
	kept := x.in
	if kept != nil {
		kept = append(kept, p...)
		x.in, p = kept, kept
	}
	r := &x.core.response
	for {
		n, err := x.answer.Response(p, x.method, r)
		if err != nil || x.interims > maxInterim {
			x.fail(failure{status: 502, end: accesslog.BackendBroke, reason: "backend " + x.member.Name + " gave no valid answer"})
			return
		}
		if n == 0 {
			x.keepHead(p)
			return
		}
		p = p[n:]
		switch {
		case r.Status == 101:
			x.switchProtocols(r, p)
			return
		case r.Status < 200:
			x.interim(r)
			continue
		}
		c := x.core
		x.in = nil
		x.respond(r, p)
		c.release(kept)
		return
	}
}

// keepHead keeps the part of a head that is there.
func (x *Exchange) keepHead(p []byte) {
	if x.in == nil {
		if len(p) == 0 {
			return
		}
		x.in = x.core.buffer()
	}
	x.in = append(x.in[:0], p...) // p may be the end of in
}

// interim passes an interim response on to who can read it.
func (x *Exchange) interim(r *http1.Response) {
	x.interims++
	if !x.old {
		x.core.head = appendInterim(x.core.head[:0], r)
		x.trace.headOut += uint64(len(x.core.head))
		x.client.write(x.core.head)
	}
	x.await()
}

// respond sends the head of the answer on, and what came with it.
func (x *Exchange) respond(r *http1.Response, p []byte) {
	c := x.core
	x.stage = stageRelays
	c.release(x.out)
	x.out, x.remade = nil, false
	x.keep = r.KeepAlive && !x.odd
	x.judge(r.Status >= 500)
	x.outBody.Start(r.Body, r.Length)
	unknown := r.Body == http1.Chunked || r.Body == http1.UntilClose
	x.chunks, x.untilEnd = unknown && !x.old, unknown && x.old
	x.close = x.close || unknown && x.old || !x.whole || x.client.front.closed.Load()
	x.backend.expect(r.Body == http1.ByLength && r.Length >= bulkLength)
	c.head = appendResponse(c.head[:0], r, x)
	x.trace.answers(r.Status, len(c.head), c.driver.Now()-x.attempted)
	c.pieces = append(c.pieces[:0], c.head)
	x.relay(p)
}

// relay sends what was gathered and more of the answer's body on.
func (x *Exchange) relay(p []byte) {
	c := x.core
	for len(p) > 0 && !x.outBody.Done() {
		data, n, _, err := x.outBody.Next(p)
		if err != nil {
			x.pass()
			x.broke(accesslog.BackendBroke)
			return
		}
		p = p[n:]
		c.gather(data, x.chunks)
	}
	if x.outBody.Done() && x.chunks {
		c.finishChunks(x.responseEdits().trailers(x.outBody.Trailers()))
	}
	if left, known := x.outBody.Remaining(); known && left > 0 && x.backend.bulk {
		x.forward(left)
	} else {
		x.pass()
	}
	if x.outBody.Done() {
		x.answered(len(p) > 0)
		return
	}
	x.hold()
}

// forward writes what was gathered to the client, and the rest of the body as far as it
// has come.
func (x *Exchange) forward(left uint64) {
	pieces := x.core.pieces
	n := x.core.driver.Forward(x.backend.conn, x.client.conn, pieces, left)
	x.outBody.Skip(n)
	x.backend.pool.endpoint.Account.AddBytesOut(int(n))
	x.client.sent(sizeOf(pieces) + int(n))
}

// pass writes what was gathered to the client.
func (x *Exchange) pass() {
	if len(x.core.pieces) > 0 {
		x.client.writePieces(x.core.pieces, x.stage == stageRelays && x.close && x.outBody.Done())
	}
}

// hold makes the backend wait for a client that is slower, and bounds the time
// that either may take.
func (x *Exchange) hold() {
	pending := x.client.conn.Pending()
	off := pending > x.service.HTTP.ResponseBuffer || x.backendOff && pending > 0
	if off != x.backendOff {
		x.backendOff = off
		if off {
			x.backend.conn.Pause()
		} else {
			x.backend.conn.Resume()
		}
	}
	if off {
		x.backend.conn.Deadline(0)
	} else {
		x.backend.conn.Deadline(x.service.HTTP.BackendIdleTimeout)
	}
	if pending > 0 {
		x.client.conn.Deadline(x.service.HTTP.ClientBodyTimeout)
	}
}

// answered ends an exchange whose answer is whole. The backend's connection is kept
// if both sides said all and nothing more; excess says that the backend said more.
func (x *Exchange) answered(excess bool) {
	reusable := x.keep && x.whole && !excess && x.backend.conn.Pending() == 0 && !x.backendOff
	if !reusable {
		x.drop()
	} else {
		b := x.detach()
		b.pool.put(b)
	}
	x.finish()
}
