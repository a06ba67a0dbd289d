package proxy

import (
	"bytes"

	"lbctl/internal/http1"
	"lbctl/internal/lb"
)

// appendForwarded says who asked, for what, and by which way. What a route's
// edits name is theirs.
func appendForwarded(dst []byte, r *http1.Request, x *Exchange) []byte {
	f, e := &x.service.HTTP.Forwarding, x.requestEdits()
	if mode := f.For; mode != lb.FieldOff && !e.has(http1.XForwardedFor) {
		dst = appendAfter(append(dst, "X-Forwarded-For: "...), r, http1.XForwardedFor, mode != lb.FieldReplace)
		dst = append(x.client.addr.Addr().AppendTo(dst), "\r\n"...)
	}
	if mode := f.Proto; mode != lb.FieldOff && !e.has(http1.XForwardedProto) {
		dst = appendAfter(append(dst, "X-Forwarded-Proto: "...), r, http1.XForwardedProto, mode == lb.FieldAppend)
		dst = append(dst, "http\r\n"...)
	}
	if mode := f.Host; mode != lb.FieldOff && len(r.Host) > 0 && !e.has(http1.XForwardedHost) {
		dst = appendAfter(append(dst, "X-Forwarded-Host: "...), r, http1.XForwardedHost, mode == lb.FieldAppend)
		dst = append(append(dst, r.Host...), "\r\n"...)
	}
	if mode := f.Forwarded; (mode == lb.FieldAppend || mode == lb.FieldReplace) && !e.has(http1.Forwarded) {
		dst = appendAfter(append(dst, "Forwarded: "...), r, http1.Forwarded, mode == lb.FieldAppend)
		dst = appendElement(dst, r, x)
	}
	if !f.NoVia && !e.has(http1.Via) {
		dst = append(append(dst, "Via: 1."...), '0'+r.Minor, ' ')
		dst = append(dst, pseudonym+"\r\n"...)
	}
	if f.RequestID && !e.has(http1.XRequestID) && !validID(r) {
		dst = append(x.core.appendID(append(dst, "X-Request-ID: "...)), "\r\n"...)
	}
	return dst
}

// appendAfter appends what other proxies have said in a field, if it counts.
func appendAfter(dst []byte, r *http1.Request, id http1.Name, counts bool) []byte {
	if !counts {
		return dst
	}
	for i := range r.Fields {
		if f := &r.Fields[i]; f.ID == id && !f.Hop && len(f.Value) > 0 {
			dst = append(append(dst, f.Value...), ", "...)
		}
	}
	return dst
}

// appendElement appends a forwarded-element (RFC 7239, section 4). What may have a
// colon is quoted.
func appendElement(dst []byte, r *http1.Request, x *Exchange) []byte {
	dst = append(dst, "for="...)
	if addr := x.client.addr.Addr(); addr.Is4() {
		dst = addr.AppendTo(dst)
	} else {
		dst = append(addr.AppendTo(append(dst, `"[`...)), `]"`...)
	}
	if len(r.Host) > 0 {
		dst = append(append(append(dst, `;host="`...), r.Host...), '"')
	}
	return append(dst, ";proto=http\r\n"...)
}

// ours reports whether a field of the request is made anew, or not passed on.
func (x *Exchange) ours(f *http1.Field, r *http1.Request) bool {
	modes := &x.service.HTTP.Forwarding
	switch f.ID {
	case http1.Host, http1.ContentLength, http1.TransferEncoding:
		return true
	case http1.XForwardedFor:
		return modes.For != lb.FieldOff
	case http1.XForwardedProto:
		return modes.Proto != lb.FieldOff
	case http1.XForwardedHost:
		return modes.Host != lb.FieldOff
	case http1.Forwarded:
		return modes.Forwarded == lb.FieldAppend || modes.Forwarded == lb.FieldReplace
	case http1.XRequestID:
		return modes.RequestID && !validID(r)
	case http1.Expect:
		return x.gathers
	}
	return false
}

// validID reports whether the client has sent one request ID, of which a log can
// be sure that it is one word of a bounded length.
func validID(r *http1.Request) bool {
	ids := 0
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.ID != http1.XRequestID {
			continue
		}
		odd := bytes.ContainsFunc(f.Value, func(c rune) bool {
			return c > 0x7e || !unreserved(byte(c)) && c != ':' && c != '/' && c != '+' && c != '='
		})
		if ids++; ids > 1 || f.Hop || odd || len(f.Value) == 0 || len(f.Value) > maxID {
			return false
		}
	}
	return ids == 1
}

const maxID = 128

// appendID appends 128 random bits.
func (c *Core) appendID(dst []byte) []byte {
	const digits = "0123456789abcdef"
	for range 2 {
		for n, word := 0, c.draw(); n < 16; n, word = n+1, word>>4 {
			dst = append(dst, digits[word&15])
		}
	}
	return dst
}
