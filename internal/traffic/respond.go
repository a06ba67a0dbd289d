package traffic

import (
	"bytes"
	"encoding/hex"
	"net/http"
	"time"

	"lbctl/internal/http1"
)

// filler is what large bodies are made of.
var filler = bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog. 0123456789 abcdef.\n"), 1024)

// copyUpTo: a body up to this size is copied behind its head and leaves with it.
const copyUpTo = 16 << 10

// prepared is what stays the same for a second: the date, and with it the answers
// to GET /.
type prepared struct {
	until              int64 // on the loop's clock
	date               []byte
	persisting, ending []byte // with body if it is small
}

// now returns what is prepared for now.
func (l *serverLoop) now() *prepared {
	p := &l.prepared
	if l.events.Now() < p.until {
		return p
	}
	now := time.Now()
	p.until = l.clock.now() + int64(time.Second) - int64(now.Nanosecond())
	p.date = http1.AppendDate(p.date[:0], now)
	a := answer{status: 200, kind: "text/plain", filler: l.body}
	p.persisting = l.appendHead(p.persisting[:0], &a, p.date)
	a.close = true
	p.ending = l.appendHead(p.ending[:0], &a, p.date)
	if l.body <= copyUpTo {
		p.persisting = append(p.persisting, filler[:l.body]...)
		p.ending = append(p.ending, filler[:l.body]...)
	}
	return p
}

// answerRoot is the path that measurements take.
func (c *conn) answerRoot(persists bool) {
	l := c.loop
	head := l.now().persisting
	if !persists {
		head, c.state = l.prepared.ending, last
	}
	l.out = append(l.out, head...)
	if l.body > copyUpTo {
		c.filler = l.body
	}
}

func (l *serverLoop) appendHead(b []byte, a *answer, date []byte) []byte {
	b = http1.AppendStatusLine(b, a.status)
	b = http1.AppendField(b, "X-Server", l.name)
	b = http1.AppendField(b, "Date", date)
	if a.kind != "" && !bodyless(a.status) {
		b = http1.AppendField(b, "Content-Type", a.kind)
	}
	if a.status != http.StatusNoContent { // which must not have one, RFC 9110, 8.6
		b = http1.AppendFieldUint(b, "Content-Length", uint64(len(a.body))+uint64(a.filler))
	}
	if a.allow != "" {
		b = http1.AppendField(b, "Allow", a.allow)
	}
	if a.client.IsValid() {
		b = http1.AppendField(b, "X-Client-TOA", a.client.String())
	}
	switch {
	case a.close:
		b = http1.AppendField(b, "Connection", "close")
	case a.persist:
		b = http1.AppendField(b, "Connection", "keep-alive")
	}
	return append(b, "\r\n"...)
}

func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// respond writes the answer to the request that was read, or has the conn sleep
// first.
func (c *conn) respond() {
	a := &c.answer
	if a.delay > 0 {
		c.sleep(a.delay)
		return
	}
	if a.sum {
		a.body = append(hex.AppendEncode(nil, c.sum.Sum(nil)), '\n')
	}
	c.sum = nil
	l := c.loop
	l.out = l.appendHead(l.out, a, l.now().date)
	switch {
	case a.head || bodyless(a.status):
	case a.filler > copyUpTo:
		c.filler = a.filler
	case a.filler > 0:
		l.out = append(l.out, filler[:a.filler]...)
	default:
		l.out = append(l.out, a.body...)
	}
	if a.close {
		c.state = last
	}
	a.body = nil
}
