package proxy

import (
	"strconv"

	"lbctl/internal/accesslog"
	"lbctl/internal/http1"
)

// perform answers as a route says, without a backend.
func (x *Exchange) perform(m *route, r *http1.Request) {
	x.close = x.close || !x.whole // the rest of the request is nobody's
	c := x.core
	dst := http1.AppendStatusLine(c.head[:0], m.status)
	dst = append(c.appendDate(append(dst, "Date: "...)), "\r\n"...)
	if len(m.redirect) > 0 {
		dst = append(m.redirect.append(append(dst, "Location: "...), r, x), "\r\n"...)
	}
	if m.body != "" {
		dst = http1.AppendField(dst, "Content-Type", m.kindOf)
	}
	if m.status != 204 && m.status != 304 {
		dst = append(strconv.AppendInt(append(dst, "Content-Length: "...), int64(len(m.body)), 10), "\r\n"...)
	}
	dst = m.response.append(dst)
	if x.close {
		dst = append(dst, "Connection: close\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	if x.method != http1.HEAD {
		dst = append(dst, m.body...)
	}
	c.head = dst
	x.trace.end = accesslog.Local
	x.trace.told(m.status, headSize(dst))
	x.client.write(dst)
	x.finish()
}
