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
	if len(r.Host) > 0 {
		dst = append(dst, r.Host...)
	} else {
		dst = x.client.front.VIP.AppendTo(dst) // HTTP/1.0
	}
	dst = append(dst, "\r\n"...)
	for i := range r.Fields {
		f := &r.Fields[i]
		if !f.Hop && !ours(f.ID) && !imitates(f) {
			dst = http1.AppendField(dst, f.Name, f.Value)
		}
	}
	dst = appendForwarded(dst, r, x)
	dst = append(dst, "Via: 1."...)
	dst = append(dst, '0'+r.Minor, ' ')
	dst = append(dst, pseudonym+"\r\n"...)
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

// ours reports whether a field of the request is made anew.
func ours(id http1.Name) bool {
	switch id {
	case http1.Host, http1.ContentLength, http1.TransferEncoding, http1.XForwardedFor, http1.XForwardedHost, http1.XForwardedProto:
		return true
	}
	return false
}

func appendTarget(dst []byte, r *http1.Request) []byte {
	if r.Form != http1.Absolute {
		return append(dst, r.Target...)
	}
	dst = append(dst, r.Path...)
	if r.Query != nil {
		dst = append(append(dst, '?'), r.Query...)
	}
	return dst
}

// appendForwarded says who asked, and for what: the client is added to those that
// a proxy in front of this one has named.
func appendForwarded(dst []byte, r *http1.Request, x *Exchange) []byte {
	dst = append(dst, "X-Forwarded-For: "...)
	for i := range r.Fields {
		if f := &r.Fields[i]; f.ID == http1.XForwardedFor && !f.Hop && len(f.Value) > 0 {
			dst = append(append(dst, f.Value...), ", "...)
		}
	}
	dst = append(x.client.addr.Addr().AppendTo(dst), "\r\nX-Forwarded-Proto: http\r\n"...)
	if len(r.Host) > 0 {
		dst = append(append(append(dst, "X-Forwarded-Host: "...), r.Host...), "\r\n"...)
	}
	return dst
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
