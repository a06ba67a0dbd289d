package proxy

import (
	"bytes"
	"strings"

	"lbctl/internal/accesslog"
	"lbctl/internal/http1"
)

// tunnels reports whether what Upgrade lists can be asked for. Not HTTP/2, nor TLS, nor
// another HTTP: in a tunnel of these a client would send requests that this
// proxy sees nothing of, past its routes.
func tunnels(upgrade []byte) bool {
	if upgrade == nil {
		return false
	}
	for list := upgrade; len(list) > 0; {
		var protocol []byte
		protocol, list = http1.NextElement(list)
		name, _, _ := bytes.Cut(protocol, []byte("/"))
		switch strings.ToLower(string(name)) {
		case "h2c", "h2", "h3", "http", "tls":
			return false
		}
	}
	return true
}

// switchProtocols makes a tunnel of the two connections, if the client asked for it
// (RFC 9110, section 7.8). p is what the backend sent in its new protocol already.
func (x *Exchange) switchProtocols(r *http1.Response, p []byte) {
	if !x.upgrade || r.Upgrade == nil {
		x.fail(failure{status: 502, end: accesslog.BackendBroke, reason: "backend " + x.member.Name + " switched protocols unasked, or to none"})
		return
	}
	c := x.core
	x.stage = stageTunnels
	x.noTimer()
	x.close, x.keep, x.chunks = true, false, false
	c.release(x.out)
	x.out, x.remade = nil, false
	c.head = appendResponse(c.head[:0], r, x)
	x.trace.answers(r.Status, len(c.head), c.driver.Now()-x.attempted)
	c.pieces = append(c.pieces[:0], c.head)
	if len(p) > 0 {
		c.pieces = append(c.pieces, p)
	}
	x.pass()
	kept := x.in
	x.in = nil
	c.release(kept)
	x.client.phase = clientTunnels
	x.idleTunnel()
	x.client.goOn()
}

// idleTunnel counts the time in which neither side says anything anew.
func (x *Exchange) idleTunnel() {
	x.client.conn.Deadline(0)
	x.backend.conn.Deadline(x.service.HTTP.TunnelTimeout)
}

func (x *Exchange) toBackend(p []byte) {
	x.idleTunnel()
	x.trace.bodyIn += uint64(len(p))
	x.backend.write(p)
	if x.backend.conn.Pending() > maxAhead && !x.clientOff {
		x.clientOff = true
		x.client.heed()
	}
}

func (x *Exchange) toClient(p []byte) {
	x.idleTunnel()
	x.client.write(p)
	if x.client.conn.Pending() > maxAhead && !x.backendOff {
		x.backendOff = true
		x.backend.conn.Pause()
	}
}

// clientEnded passes the end of one direction on; with both the tunnel ends.
func (x *Exchange) clientEnded() {
	x.ended[0] = true
	if x.ended[1] {
		x.closeTunnel()
		return
	}
	x.backend.conn.Shutdown()
}

func (x *Exchange) tunnelEnded(err error) {
	if err != nil || x.backend == nil || x.ended[0] {
		x.closeTunnel()
		return
	}
	x.ended[1] = true
	x.client.conn.Shutdown()
}

// closeTunnel ends both connections when they have taken what is on its way.
func (x *Exchange) closeTunnel() {
	c := x.client
	if b := x.detach(); b != nil {
		b.conn.Deadline(closeTime) // not the tunnel's
		b.shut(b.conn.CloseWhenDrained)
	}
	x.over()
	c.shut(c.conn.CloseWhenDrained)
}
