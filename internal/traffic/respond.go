package traffic

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"time"
)

// filler is what large bodies are made of.
var filler = bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog. 0123456789 abcdef.\n"), 1024)

const (
	copyUpTo = 16 << 10 // a body up to this size is copied behind its head and leaves with it
	flushAt  = 64 << 10
)

// prepared holds the answers to GET / for as long as their Date is right.
type prepared struct {
	second             int64
	persisting, ending []byte // with body if it is small
}

// answerRoot is the path that measurements take.
func (c *conn) answerRoot(persists bool) error {
	now := time.Now()
	p := c.srv.root.Load()
	if p == nil || p.second != now.Unix() {
		p = c.srv.prepare(now)
		c.srv.root.Store(p)
	}
	if persists {
		c.out = append(c.out, p.persisting...)
	} else {
		c.out = append(c.out, p.ending...)
	}
	if c.srv.body > copyUpTo {
		return c.writeFiller(c.srv.body)
	}
	return c.flushIfLarge()
}

func (s *Server) prepare(now time.Time) *prepared {
	p := &prepared{second: now.Unix()}
	a := answer{status: 200, kind: "text/plain", filler: s.body}
	p.persisting = s.appendHead(nil, a, now)
	a.close = true
	p.ending = s.appendHead(nil, a, now)
	if s.body <= copyUpTo {
		p.persisting = append(p.persisting, filler[:s.body]...)
		p.ending = append(p.ending, filler[:s.body]...)
	}
	return p
}

func (s *Server) appendHead(b []byte, a answer, now time.Time) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(a.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(a.status)...)
	b = append(b, "\r\nX-Server: "...)
	b = append(b, s.name...)
	b = append(b, "\r\nDate: "...)
	b = now.UTC().AppendFormat(b, http.TimeFormat)
	if a.kind != "" && !bodyless(a.status) {
		b = append(b, "\r\nContent-Type: "...)
		b = append(b, a.kind...)
	}
	if a.status != http.StatusNoContent { // which must not have one, RFC 9110, 8.6
		b = append(b, "\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(len(a.body))+a.filler, 10)
	}
	if a.allow != "" {
		b = append(b, "\r\nAllow: "...)
		b = append(b, a.allow...)
	}
	if a.client.IsValid() {
		b = append(b, "\r\nX-Client-TOA: "...)
		b = a.client.AppendTo(b)
	}
	switch {
	case a.close:
		b = append(b, "\r\nConnection: close"...)
	case a.persist:
		b = append(b, "\r\nConnection: keep-alive"...)
	}
	return append(b, "\r\n\r\n"...)
}

func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

func (c *conn) respond(a answer) error {
	c.out = c.srv.appendHead(c.out, a, time.Now())
	switch {
	case a.head || bodyless(a.status):
	case a.filler > 0:
		return c.writeFiller(a.filler)
	default:
		c.out = append(c.out, a.body...)
	}
	return c.flushIfLarge()
}

func (c *conn) flushIfLarge() error {
	if len(c.out) < flushAt {
		return nil
	}
	return c.flush()
}

// writeFiller appends n bytes, or writes them behind what is pending, up to a
// megabyte with each system call.
func (c *conn) writeFiller(n int64) error {
	if n <= copyUpTo {
		c.out = append(c.out, filler[:n]...)
		return c.flushIfLarge()
	}
	parts := net.Buffers{c.out}
	for n > 0 {
		for n > 0 && len(parts) < 17 {
			part := filler[:min(n, int64(len(filler)))]
			parts = append(parts, part)
			n -= int64(len(part))
		}
		if _, err := parts.WriteTo(c.tcp); err != nil {
			return err
		}
		parts = parts[:0]
	}
	c.out = c.out[:0]
	return nil
}
