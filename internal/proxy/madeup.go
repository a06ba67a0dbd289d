package proxy

import (
	"bytes"
	"strconv"

	"lbctl/internal/accesslog"
	"lbctl/internal/http1"
)

// makeUp answers in a backend's place.
func (x *Exchange) makeUp(status int, reason string) {
	x.close = x.close || !x.whole // the rest of the request is nobody's
	c := x.client
	x.core.head = x.core.appendAnswer(x.core.head[:0], status, reason, x.close, x.method == http1.HEAD)
	x.trace.reason = reason
	x.trace.told(status, headSize(x.core.head))
	c.write(x.core.head)
	x.finish()
}

// reject answers a request whose client is at fault, and ends the connection: what
// comes behind it may be no request, as what a client sends through a tunnel that it
// takes for granted.
func (x *Exchange) reject(status int, reason string) {
	x.core.complain(accesslog.BadRequest, x.service.Name, "", reason)
	x.trace.end = accesslog.BadRequest
	x.whole = false // nobody knows how much more there is
	x.makeUp(status, reason)
}

// refuse answers what is no request, and ends the connection.
func (c *ClientConn) refuse(status int, reason string, came []byte) {
	c.core.head = c.core.appendAnswer(c.core.head[:0], status, reason, true, false)
	c.write(c.core.head)
	head := headSize(c.core.head)
	c.conclude(status, reason, came, head, len(c.core.head)-head)
	c.last(false)
}

// headSize is the size of the head that an answer begins with.
func headSize(answer []byte) int { return bytes.Index(answer, []byte("\r\n\r\n")) + 4 }

func (c *Core) appendAnswer(dst []byte, status int, reason string, last, head bool) []byte {
	text := http1.ReasonPhrase(status)
	dst = http1.AppendStatusLine(dst, status)
	dst = append(c.appendDate(append(dst, "Date: "...)), "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(text)+len(reason)+3), 10)
	if last {
		dst = append(dst, "\r\nConnection: close"...)
	}
	dst = append(dst, "\r\n\r\n"...)
	if !head {
		dst = append(append(append(append(dst, text...), ": "...), reason...), '\n')
	}
	return dst
}
