package proxy

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/balance"
	"lbctl/internal/http1"
	"lbctl/internal/lb"
)

// sticky are the cookies of a service by which clients come back to a backend;
// zero for a service without.
type sticky struct {
	*balance.Sticky
	name, attributes string
}

func newSticky(conf lb.Service) (s sticky, err error) {
	c := conf.HTTP.Sticky
	if c.Cookie == "" {
		return s, nil
	}
	if s.Sticky, err = balance.NewSticky([]byte(c.Key), conf.Name, conf.Backends); err != nil {
		return s, err
	}
	s.name, s.attributes = c.Cookie, "; Path=/"
	if c.Path != "" {
		s.attributes = "; Path=" + c.Path
	}
	if c.TTL > 0 {
		s.attributes += fmt.Sprintf("; Max-Age=%d", int64(c.TTL/time.Second))
	}
	if c.Secure {
		s.attributes += "; Secure"
	}
	if c.HTTPOnly {
		s.attributes += "; HttpOnly"
	}
	if c.SameSite != "" {
		s.attributes += "; SameSite=" + c.SameSite
	}
	return s, nil
}

// stuckTo is the backend that a request's cookie names, 0 if there is none.
func (s *sticky) stuckTo(r *http1.Request) lb.BackendID {
	if s.Sticky == nil {
		return 0
	}
	id, _ := s.Read(cookieNamed(r, s.name))
	return id
}

// appendOthers appends a Cookie field as it came, but without the cookies of those names,
// which are ours and no business of backends; nothing if that was all.
func appendOthers(dst []byte, f *http1.Field, ours []string) []byte {
	at := len(dst)
	dst = append(append(dst, f.Name...), ": "...)
	begin, kept, left := len(dst), 0, 0
	lastLeft := false
	for rest, more := f.Value, true; more; {
		var pair []byte
		pair, rest, more = bytes.Cut(rest, []byte(";"))
		if lastLeft = named(pair, ours); lastLeft {
			left++
			continue
		}
		switch {
		case kept > 0:
			dst = append(dst, ';')
		case left > 0:
			pair = bytes.TrimLeft(pair, " \t")
		}
		dst = append(dst, pair...)
		kept++
	}
	if lastLeft {
		dst = dst[:begin+len(bytes.TrimRight(dst[begin:], " \t"))]
	}
	if left > 0 && len(dst) == begin {
		return dst[:at]
	}
	return append(dst, "\r\n"...)
}

func named(pair []byte, names []string) bool {
	name, _, ok := bytes.Cut(bytes.TrimLeft(pair, " \t"), []byte("="))
	return ok && slices.ContainsFunc(names, func(n string) bool { return n == string(name) })
}

// choose picks the first member of an exchange: the one that its client sticks
// to, as long as that takes requests of its clients, else one by the policy.
func (x *Exchange) choose() (m *Member) {
	s := x.service
	if x.stuck != 0 && s.sticky.Sticky != nil && s.picker.Take(x.stuck, x.key.Now) {
		x.trace.choice = accesslog.Cookie
		return s.byID[x.stuck]
	}
	m, x.trace.choice = s.pick(x.key, nil)
	return m
}

// appendCookie tells a client which backend it sticks to, if that is news.
func (x *Exchange) appendCookie(dst []byte) []byte {
	s := &x.service.sticky
	if s.Sticky == nil || x.member.ID == x.stuck {
		return dst
	}
	dst = append(append(append(dst, "Set-Cookie: "...), s.name...), '=')
	dst = s.Append(dst, x.member.ID)
	return append(append(dst, s.attributes...), "\r\n"...)
}
