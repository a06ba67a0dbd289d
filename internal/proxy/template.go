package proxy

import (
	"bytes"
	"strings"

	"lbctl/internal/http1"
)

// template is a Location with places for parts of the request.
type template []part

// part is text, or the name of what stands in its place.
type part struct {
	text  string
	place bool
}

func newTemplate(text string) (t template) {
	for text != "" {
		begin := strings.IndexByte(text, '{')
		end := strings.IndexByte(text, '}')
		if begin < 0 || end < begin {
			return append(t, part{text: text})
		}
		if begin > 0 {
			t = append(t, part{text: text[:begin]})
		}
		t = append(t, part{text[begin+1 : end], true})
		text = text[end+1:]
	}
	return t
}

// append fills the places. A host is one without port; without a Host it is the
// address that the client asked.
func (t template) append(dst []byte, r *http1.Request, x *Exchange) []byte {
	for i := range t {
		switch p := &t[i]; {
		case !p.place:
			dst = append(dst, p.text...)
		case p.text == "host" && len(r.Host) > 0:
			dst = append(dst, withoutPort(r.Host)...)
		case p.text == "host":
			dst = appendLiteral(dst, x)
		case p.text == "path" && r.Path[0] != '/': // OPTIONS *
			dst = append(dst, '/')
		case p.text == "path":
			dst = append(dst, r.Path...)
		case p.text == "query" && r.Query != nil:
			dst = append(append(dst, '?'), r.Query...)
		}
	}
	return dst
}

func withoutPort(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && bytes.IndexByte(host[i:], ']') < 0 {
		return host[:i]
	}
	return host
}

// appendLiteral appends the VIP's address as the host of a URI.
func appendLiteral(dst []byte, x *Exchange) []byte {
	addr := x.client.front.VIP.Addr()
	if addr.Is4() {
		return addr.AppendTo(dst)
	}
	return append(addr.AppendTo(append(dst, '[')), ']')
}
