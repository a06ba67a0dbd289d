package http1

import (
	"fmt"
	"strings"
	"testing"
)

// ok returns a response 200 with these lines.
func ok(lines string) string { return "HTTP/1.1 200 OK\r\n" + lines + "\r\n" }

func TestBadResponses(t *testing.T) {
	for _, c := range []struct {
		rfc, name, head string
		want            *Error
	}{
		{"9112 4", "no version", "200 OK\r\n\r\n", ErrVersion},
		{"9112 4", "empty line in front", "\r\n" + ok(""), ErrVersion},
		{"9112 4", "lower case version", "http/1.1 200 OK\r\n\r\n", ErrVersion},
		{"9112 2.3", "HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", ErrVersionElse},
		{"9112 4", "two digits", "HTTP/1.1 20 OK\r\n\r\n", ErrStatusLine},
		{"9112 4", "four digits", "HTTP/1.1 2000 OK\r\n\r\n", ErrStatus},
		{"9112 4", "two spaces", "HTTP/1.1  200 OK\r\n\r\n", ErrStatusLine},
		{"9110 15", "status 099", "HTTP/1.1 099 OK\r\n\r\n", ErrStatus},
		{"9110 15", "status 600", "HTTP/1.1 600 OK\r\n\r\n", ErrStatus},
		{"9112 4", "NUL in the phrase", "HTTP/1.1 200 O\x00K\r\n\r\n", ErrValue},
		{"9112 2.2", "bare CR in the phrase", "HTTP/1.1 200 O\rK\r\n\r\n", ErrBareCR},
		{"9112 2.2", "bare LF", "HTTP/1.1 200 OK\nX: y\r\n\r\n", ErrBareLF},
		{"9112 2.2", "bare LF after the status", "HTTP/1.1 200\n\r\n", ErrStatus},
		{"9112 5.2", "obs-fold", ok("X: y\r\n z\r\n"), ErrFold},
		{"9112 5.1", "space before the colon", ok("X : y\r\n"), ErrNameSpace},
		{"9112 3", "too long", "HTTP/1.1 200 " + strings.Repeat("a", 8192) + "\r\n\r\n", ErrLine},
		{"6585 5", "too large", ok("X: " + strings.Repeat("a", 65536) + "\r\n"), ErrHead},

		{"9112 6.3", "length and chunked", ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), ErrLengthForm},
		{"9112 6.1", "chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ErrCodingOld},
		{"9112 6.1", "unknown coding", ok("Transfer-Encoding: gzip\r\n"), ErrCodingElse},
		{"9112 6.1", "chunked not last", ok("Transfer-Encoding: chunked, gzip\r\n"), ErrCoding},
		{"9110 8.6", "differing lengths", ok("Content-Length: 5\r\nContent-Length: 6\r\n"), ErrLengths},
		{"9110 8.6", "equal lengths", ok("Content-Length: 5\r\nContent-Length: 5\r\n"), ErrLengths},
		{"9110 8.6", "length with 204", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ErrUnframed},
		{"9112 6.1", "chunked with 204", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", ErrUnframed},
		{"9112 6.1", "chunked with 101", "HTTP/1.1 101 Switching Protocols\r\nTransfer-Encoding: chunked\r\n\r\n", ErrUnframed},
		{"9110 7.6.1", "Connection names Content-Length", ok("Connection: Content-Length\r\nContent-Length: 5\r\n"), ErrConnectionName},
	} {
		got := parseResponse(nil, GET, c.head)
		if got.err != c.want.ForResponse() || got.n != 0 {
			t.Errorf("RFC %s: %s: %.200q: %d, %v, want %v", c.rfc, c.name, c.head, got.n, got.err, c.want)
		} else if got.err.Status != 502 {
			t.Errorf("%s: status %d", c.name, got.err.Status)
		}
		if len(c.head) < 1000 {
			checkCuts(t, c.head, func(cuts ...int) result { return parseResponse(nil, GET, c.head, cuts...) })
		}
	}
}

func TestGoodResponses(t *testing.T) {
	for _, c := range []struct {
		rfc  string
		to   Method
		head string
		want string
	}{
		{"9112 6.3", GET, ok(""), `1.1 200 "OK" until close`},
		{"9112 6.3", GET, ok("Content-Length: 5\r\n"), `1.1 200 "OK" by length 5 keep`},
		{"9112 6.3", GET, ok("Content-Length: 0\r\n"), `1.1 200 "OK" by length keep`},
		{"9112 6.3", GET, ok("Transfer-Encoding: chunked\r\n"), `1.1 200 "OK" chunked keep`},
		{"9112 6.3", HEAD, ok("Content-Length: 5\r\n"), `1.1 200 "OK" no body keep`},
		{"9112 6.3", HEAD, ok("Transfer-Encoding: chunked\r\n"), `1.1 200 "OK" no body keep`},
		{"9112 6.3", HEAD, ok(""), `1.1 200 "OK" no body keep`},
		{"9112 6.3", GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", `1.1 304 "Not Modified" no body keep`},
		{"9112 6.3", GET, "HTTP/1.1 204 No Content\r\n\r\n", `1.1 204 "No Content" no body keep`},
		{"9110 8.6", GET, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", `1.1 204 "No Content" no body keep`},
		{"9112 6.3", GET, "HTTP/1.1 100 Continue\r\n\r\n", `1.1 100 "Continue" no body keep`},
		{"9112 6.3", CONNECT, ok("Content-Length: 5\r\n"), `1.1 200 "OK" no body`},
		{"9112 6.3", CONNECT, "HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\n", `1.1 403 "No" by length 5 keep`},
		{"9110 7.8", GET, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", `1.1 101 "Switching" no body keep upgrade=websocket`},
		{"9112 4", GET, "HTTP/1.1 404 \r\nContent-Length: 1\r\n\r\n", `1.1 404 "" by length 1 keep`},
		{"9112 4", GET, "HTTP/1.1 404\r\nContent-Length: 1\r\n\r\n", `1.1 404 "" by length 1 keep`},
		{"9112 4", GET, "HTTP/1.1 599 \xe4 b\t\r\nContent-Length: 1\r\n\r\n", `1.1 599 "\xe4 b\t" by length 1 keep`},
		{"9112 9.3", GET, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", `1.0 200 "OK" by length 1`},
		{"9112 9.3", GET, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n", `1.0 200 "OK" by length 1 keep`},
		{"9112 9.3", GET, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", `1.0 200 "OK" until close`},
		{"9112 9.3", GET, ok("Connection: close\r\nContent-Length: 1\r\n"), `1.1 200 "OK" by length 1`},
		{"9110 7.2", GET, ok("Host: a\r\nHost: b c\r\nExpect: x\r\nContent-Length: 1\r\n"), `1.1 200 "OK" by length 1 keep`},
	} {
		var p Parser
		var r Response
		n, err := p.Response([]byte(c.head+"rest"), c.to, &r)
		if err != nil || n != len(c.head) {
			t.Errorf("RFC %s: %q: %d of %d, %v", c.rfc, c.head, n, len(c.head), err)
			continue
		}
		got := fmt.Sprintf("1.%d %d %q %s", r.Minor, r.Status, r.Reason, r.Body)
		if r.Length > 0 {
			got += fmt.Sprintf(" %d", r.Length)
		}
		if r.KeepAlive {
			got += " keep"
		}
		if r.Upgrade != nil {
			got += " upgrade=" + string(r.Upgrade)
		}
		if got != c.want {
			t.Errorf("RFC %s: %q to %s:\n got %s\nwant %s", c.rfc, c.head, c.to, got, c.want)
		}
		checkCuts(t, c.head, func(cuts ...int) result { return parseResponse(nil, c.to, c.head, cuts...) })
	}
}
