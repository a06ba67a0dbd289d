package proxy

import (
	"strconv"

	"lbctl/internal/accesslog"
	"lbctl/internal/http1"
)

const (
	// mostHops is what a larger Max-Forwards becomes.
	mostHops = 1_000_000
	// allowed are the methods that a client may try here: CONNECT is refused, and TRACE
	// is nothing that this proxy answers.
	allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
)

// mayPass obeys Max-Forwards, by which a client says how many proxies may pass an
// OPTIONS or TRACE on (RFC 9110, section 7.6.2). If this one may not, it has answered.
func (x *Exchange) mayPass(r *http1.Request) bool {
	if r.Method != http1.OPTIONS && r.Method != http1.TRACE {
		return true
	}
	var field *http1.Field
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.ID != http1.MaxForwards {
			continue
		}
		if field != nil {
			x.reject(400, "Max-Forwards is there twice")
			return false
		}
		field = f
	}
	if field == nil {
		return true
	}
	hops, ok := parseHops(field.Value)
	switch {
	case !ok:
		x.reject(400, "Max-Forwards is no number")
		return false
	case hops == 0:
		x.end(r.Method)
		return false
	}
	x.core.hops = strconv.AppendInt(x.core.hops[:0], hops-1, 10)
	field.Value = x.core.hops
	return true
}

func parseHops(value []byte) (hops int64, ok bool) {
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		hops = min(10*hops+int64(c-'0'), mostHops)
	}
	return hops, len(value) > 0
}

// end answers as the last one that a request reaches. A TRACE would have to be sent
// back as it came, with cookies and credentials that scripts in a browser may not read.
func (x *Exchange) end(m http1.Method) {
	status := 200
	if m == http1.TRACE {
		status = 405
	}
	x.close = x.close || !x.whole // the rest of the request is nobody's
	c := x.core
	dst := http1.AppendStatusLine(c.head[:0], status)
	dst = append(c.appendDate(append(dst, "Date: "...)), "\r\nAllow: "+allowed+"\r\nContent-Length: 0\r\n"...)
	if x.close {
		dst = append(dst, "Connection: close\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	c.head = dst
	x.trace.end = accesslog.Local
	x.trace.told(status, len(dst))
	x.client.write(dst)
	x.finish()
}
