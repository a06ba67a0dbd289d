package proxy

import (
	"strconv"

	"lbctl/internal/http1"
)

// pseudonym is this proxy's name in Via (RFC 9110, section 7.6.3).
const pseudonym = "lbctl"

// appendRequest makes the head for the backend of the client's, as a proxy must
// (RFC 9110, section 7.6): what concerns one connection only goes, who asked and
// by which way is added. The target loses its authority, which is Host's now.
func appendRequest(dst []byte, r *http1.Request, x *Exchange) []byte {
	dst = append(append(dst, r.MethodName...), ' ')
	dst = append(appendTarget(dst, r), " HTTP/1.1\r\nHost: "...)
	switch {
	case x.service.HTTP.Forwarding.BackendHost:
		x.hostAt = len(dst) // sent as each attempt's member has it
	case len(r.Host) > 0:
		dst = append(dst, r.Host...)
	default:
		dst = x.client.front.VIP.AppendTo(dst) // HTTP/1.0
	}
	dst = append(dst, "\r\n"...)
	edits := x.requestEdits()
	for i := range r.Fields {
		f := &r.Fields[i]
		switch {
		case f.Hop || x.ours(f, r) || imitates(f) || edits.drops(f):
		case f.ID == http1.Cookie && len(x.cookies) > 0:
			dst = appendOthers(dst, f, x.cookies)
		default:
			dst = http1.AppendField(dst, f.Name, f.Value)
		}
	}
	dst = edits.append(appendForwarded(dst, r, x))
	switch {
	case x.upgrade:
		dst = append(append(append(dst, "Connection: upgrade\r\nUpgrade: "...), r.Upgrade...), "\r\n"...)
	case r.TETrailers: // RFC 9110, section 10.1.4
		dst = append(dst, "Connection: TE\r\nTE: trailers\r\n"...)
	}
	if x.odd {
		dst = append(dst, "Connection: close\r\n"...)
	}
	return append(appendFraming(dst, r), "\r\n"...)
}

// appendTarget appends what is asked of the backend: path and query, as they are now.
func appendTarget(dst []byte, r *http1.Request) []byte {
	dst = append(dst, r.Path...)
	if r.Query != nil {
		dst = append(append(dst, '?'), r.Query...)
	}
	return dst
}

// writeHead sends what there is of a request, with the Host of the attempt's member
// if that is to be sent.
func (x *Exchange) writeHead(b *BackendConn) {
	if x.hostAt == 0 {
		b.write(x.out)
		return
	}
	x.core.pieces = append(x.core.pieces[:0], x.out[:x.hostAt], x.member.host, x.out[x.hostAt:])
	b.writePieces(x.core.pieces)
}

func appendFraming(dst []byte, r *http1.Request) []byte {
	switch r.Body {
	case http1.Chunked:
		return append(dst, "Transfer-Encoding: chunked\r\n"...)
	case http1.ByLength:
		return append(strconv.AppendUint(append(dst, "Content-Length: "...), r.Length, 10), "\r\n"...)
	}
	switch r.Method {
	case http1.POST, http1.PUT, http1.PATCH: // RFC 9110, section 8.6
		return append(dst, "Content-Length: 0\r\n"...)
	}
	return dst
}
