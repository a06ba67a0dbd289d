package l7

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/textproto"
	"strings"
	"sync/atomic"
)

// pseudonym is this proxy's name in Via (RFC 9110, section 7.6.3).
const pseudonym = "lbctl"

// Header values shared by all requests. Their capacity is their length, so
// appending to one copies it.
var (
	via10, via11 = []string{"1.0 " + pseudonym}, []string{"1.1 " + pseudonym}
	protoHTTP    = []string{"http"}
	teTrailers   = []string{"trailers"}
	none         = []string{""}
)

// hopByHop are the header fields that concern one connection only, besides those
// that Connection names.
var hopByHop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// repeaters are the header fields by which net/http's Transport takes leave to
// repeat a POST. It finds them by their canonical names only, so spelled
// otherwise they go out, and no request goes out twice.
var repeaters = map[string]string{"Idempotency-Key": "idempotency-key", "X-Idempotency-Key": "x-idempotency-key"}

// outgoing turns a client's request into the one for a backend. It reuses the
// header map: net/http has taken from it what it needs by now.
func outgoing(r *http.Request, c *clientConn, vip netip.AddrPort) *http.Request {
	out := r.WithContext(r.Context()) // a shallow copy
	out.RequestURI, out.Close = "", false
	u := *r.URL
	u.Scheme, u.Host, u.User = "http", "backend", nil // a pool knows its address itself
	out.URL = &u
	if out.Host == "" {
		out.Host = vip.String() // HTTP/1.0
	}
	switch {
	case r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody:
		out.Body = nil
	default:
		out.Body = &requestBody{body: r.Body}
	}
	h := r.Header
	trailers := len(h["Te"]) > 0 && hasToken(h["Te"], "trailers")
	removeHopByHop(h)
	if trailers {
		h["Te"] = teTrailers
	}
	forwardedFor := c.ip
	if prior := h["X-Forwarded-For"]; len(prior) > 0 {
		forwardedFor = strings.Join(prior, ", ") + ", " + c.ip
	}
	values := []string{forwardedFor, r.Host}
	h["X-Forwarded-For"] = values[:1:1]
	h["X-Forwarded-Host"] = values[1:2:2]
	if r.Host == "" {
		delete(h, "X-Forwarded-Host")
	}
	h["X-Forwarded-Proto"] = protoHTTP
	addVia(h, r.ProtoMajor, r.ProtoMinor)
	for canonical, other := range repeaters {
		if v := h[canonical]; v != nil {
			delete(h, canonical)
			h[other] = v
		}
	}
	if h["User-Agent"] == nil {
		h["User-Agent"] = none // keeps the transport from naming itself
	}
	return out
}

// addVia appends the version that the message came in by.
func addVia(h http.Header, major, minor int) {
	entry := via11
	switch {
	case major == 1 && minor == 0:
		entry = via10
	case major != 1 || minor != 1:
		entry = []string{fmt.Sprintf("%d.%d %s", major, minor, pseudonym)}
	}
	if prior := h["Via"]; len(prior) > 0 {
		entry = append(prior[:len(prior):len(prior)], entry...)
	}
	h["Via"] = entry
}

func removeHopByHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.TrimString(name); name != "" {
				delete(h, http.CanonicalHeaderKey(name))
			}
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// hasToken reports whether a comma-separated list field has the token.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(textproto.TrimString(t), token) {
				return true
			}
		}
	}
	return false
}

// requestBody keeps a transport from closing the client's body, so that it can
// be sent elsewhere if nothing of it was read, and remembers who broke off.
type requestBody struct {
	body   io.Reader
	failed atomic.Bool
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil && err != io.EOF {
		b.failed.Store(true)
	}
	return n, err
}

// Close implements io.ReadCloser. net/http's server closes the body itself.
func (b *requestBody) Close() error { return nil }
