package proxy

import (
	"strconv"

	"lbctl/internal/http1"
)

// appendResponse makes the head for the client of the backend's, with the framing
// that x has settled on.
func appendResponse(dst []byte, r *http1.Response, x *Exchange) []byte {
	dst = appendStatus(dst, r)
	edits := x.responseEdits()
	dated := false
	for i := range r.Fields {
		f := &r.Fields[i]
		switch {
		case f.Hop || f.ID == http1.TransferEncoding || f.ID == http1.ContentLength && r.Body != http1.NoBody || edits.drops(f):
			continue
		case f.ID == http1.Date:
			dated = true
		}
		dst = http1.AppendField(dst, f.Name, f.Value)
	}
	if !dated { // RFC 9110, section 6.6.1
		dst = append(x.core.appendDate(append(dst, "Date: "...)), "\r\n"...)
	}
	if !x.service.HTTP.Forwarding.NoVia && !edits.has(http1.Via) {
		dst = append(append(append(dst, "Via: 1."...), '0'+r.Minor), " "+pseudonym+"\r\n"...)
	}
	dst = edits.append(x.appendCookie(dst))
	switch {
	case x.chunks:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case r.Body == http1.ByLength:
		dst = append(strconv.AppendUint(append(dst, "Content-Length: "...), r.Length, 10), "\r\n"...)
	}
	if r.Status == 101 {
		dst = append(append(append(dst, "Connection: upgrade\r\nUpgrade: "...), r.Upgrade...), "\r\n"...)
	} else if x.close {
		dst = append(dst, "Connection: close\r\n"...)
	}
	return append(dst, "\r\n"...)
}

func appendStatus(dst []byte, r *http1.Response) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(strconv.AppendInt(dst, int64(r.Status), 10), ' ')
	return append(append(dst, r.Reason...), "\r\n"...)
}

// appendInterim makes the head of an interim response (RFC 9110, section 15.2).
func appendInterim(dst []byte, r *http1.Response) []byte {
	dst = appendStatus(dst, r)
	for i := range r.Fields {
		if f := &r.Fields[i]; !f.Hop {
			dst = http1.AppendField(dst, f.Name, f.Value)
		}
	}
	return append(dst, "\r\n"...)
}
