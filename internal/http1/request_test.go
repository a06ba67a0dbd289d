package http1

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
)

// on returns a request with these lines after a valid request line and Host.
func on(lines string) string { return "GET / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n" }

// for10 is on for HTTP/1.0.
func for10(lines string) string { return "GET / HTTP/1.0\r\n" + lines + "\r\n" }

var badRequests = []struct {
	rfc, name, head string
	want            *Error
}{
	{"9112 3", "empty method", " / HTTP/1.1\r\nHost: h\r\n\r\n", ErrMethod},
	{"9112 3", "method is no token", "GE(T / HTTP/1.1\r\nHost: h\r\n\r\n", ErrMethod},
	{"9112 3", "TLS", "\x16\x03\x01\x02\x00\x01", ErrMethod},
	{"9112 3", "method only", "GET\r\n\r\n", ErrMethod},
	{"9112 3", "long method", strings.Repeat("G", 33) + " / HTTP/1.1\r\n\r\n", ErrMethodLong},
	{"9112 3", "two spaces before the target", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"9112 3", "two spaces after the target", "GET /  HTTP/1.1\r\nHost: h\r\n\r\n", ErrVersion},
	{"9112 3", "tab", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", ErrMethod},
	{"9112 3", "space in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", ErrVersion},
	{"9112 3", "space after the version", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", ErrVersion},
	{"9112 3", "too long", "GET /" + strings.Repeat("a", 8192) + " HTTP/1.1\r\nHost: h\r\n\r\n", ErrLine},
	{"9112 2.2", "bare LF after the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", ErrBareLF},
	{"9112 2.2", "bare CR after the request line", "GET / HTTP/1.1\rHost: h\r\n\r\n", ErrBareCR},
	{"9112 2.2", "two empty lines", "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", ErrMethod},
	{"9112 2.2", "bare LF in front", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", ErrMethod},
	{"9112 2.2", "bare CR in front", "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", ErrMethod},
	{"9112 2.2", "whitespace before the first field", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", ErrFold},
	{"9112 2.3", "HTTP/0.9", "GET /\r\n\r\n", ErrTarget},
	{"9112 2.3", "lower case version", "GET / http/1.1\r\nHost: h\r\n\r\n", ErrVersion},
	{"9112 2.3", "no minor version", "GET / HTTP/1\r\nHost: h\r\n\r\n", ErrVersion},
	{"9112 2.3", "two digits", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", ErrVersion},
	{"9112 2.3", "short version", "GET / X\r\n\r\n", ErrVersion},
	{"9110 15.6.6", "HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ErrVersionElse},
	{"9110 15.6.6", "HTTP/0.9 by name", "GET / HTTP/0.9\r\n\r\n", ErrVersionElse},

	{"3986 3.5", "fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"3986 2", "control character in the target", "GET /a\x01 HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"3986 2", "DEL in the target", "GET /a\x7f HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"3986 2", "UTF-8 in the target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n", ErrTarget},
	{"3986 2.1", "broken escape", "GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n", ErrEscape},
	{"3986 2.1", "no hexadecimal escape", "GET /%4g HTTP/1.1\r\nHost: h\r\n\r\n", ErrEscape},
	{"9112 3.2.1", "relative path", "GET a/b HTTP/1.1\r\nHost: h\r\n\r\n", ErrForm},
	{"9112 3.2.2", "other scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", ErrForm},
	{"9112 3.2.3", "authority without CONNECT", "GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n", ErrForm},
	{"9112 3.2.3", "CONNECT without port", "CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n", ErrAuthority},
	{"9112 3.2.3", "CONNECT with an empty port", "CONNECT h: HTTP/1.1\r\nHost: h\r\n\r\n", ErrAuthority},
	{"9112 3.2.3", "CONNECT to a path", "CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", ErrAuthority},
	{"9112 3.2.4", "asterisk without OPTIONS", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", ErrForm},
	{"9110 4.2.4", "userinfo", "GET http://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n", ErrAuthority},
	{"9110 4.2.1", "empty authority", "GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", ErrAuthority},

	{"9112 5.1", "space before the colon", on("X : y\r\n"), ErrNameSpace},
	{"9112 5.1", "tab before the colon", on("X\t: y\r\n"), ErrNameSpace},
	{"9112 5.1", "empty name", on(": y\r\n"), ErrName},
	{"9112 5.1", "no colon", on("X\r\n"), ErrName},
	{"9110 5.1", "name is no token", on("X(y): z\r\n"), ErrName},
	{"9110 5.1", "UTF-8 in a name", on("X\xc3\xa4: z\r\n"), ErrName},
	{"9112 5.2", "obs-fold", on("X: y\r\n z\r\n"), ErrFold},
	{"9112 5.2", "obs-fold with a tab", on("X: y\r\n\tz\r\n"), ErrFold},
	{"9110 5.5", "NUL in a value", on("X: a\x00b\r\n"), ErrValue},
	{"9110 5.5", "control character in a value", on("X: a\x1fb\r\n"), ErrValue},
	{"9110 5.5", "DEL in a long value", on("X: 0123456789abc\x7f0123456789\r\n"), ErrValue},
	{"9112 2.2", "bare CR in a value", on("X: a\rb\r\n"), ErrBareCR},
	{"9112 2.2", "bare LF after a value", on("X: a\nY: b\r\n"), ErrBareLF},
	{"9112 2.2", "bare LF after a name", on("X\n"), ErrBareLF},
	{"9112 2.2", "bare LF as the empty line", on("X: a\r\n\n"), ErrBareLF},
	{"9112 2.2", "bare CR as the empty line", on("X: a\r\n\rX"), ErrBareCR},
	{"6585 5", "many fields", on(strings.Repeat("X: y\r\n", 256)), ErrFields},
	{"6585 5", "large head", on("X: " + strings.Repeat("y", 65536) + "\r\n"), ErrHead},
	{"6585 5", "large name", on(strings.Repeat("y", 65536) + ": \r\n"), ErrHead},

	{"9112 3.2", "no Host", "GET / HTTP/1.1\r\n\r\n", ErrNoHost},
	{"9112 3.2", "no Host with absolute-form", "GET http://h/ HTTP/1.1\r\n\r\n", ErrNoHost},
	{"9112 3.2", "two Hosts", on("Host: h\r\n"), ErrHosts},
	{"9112 3.2", "two Hosts in HTTP/1.0", for10("Host: h\r\nHost: h\r\n"), ErrHosts},
	{"9112 3.2", "Host invalid, target wins", "GET http://h/ HTTP/1.1\r\nHost: a b\r\n\r\n", ErrHost},
	{"9110 4.2.1", "empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", ErrHost},
	{"9110 7.2", "list of hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", ErrHost},

	{"9112 6.3", "length with chunked", on("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), ErrLengthForm},
	{"9112 6.3", "chunked with length", on("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), ErrLengthForm},
	{"9112 6.1", "chunked in HTTP/1.0", for10("Transfer-Encoding: chunked\r\n"), ErrCodingOld},
	{"9112 6.1", "unknown coding", on("Transfer-Encoding: gzip\r\n"), ErrCodingElse},
	{"9112 6.1", "unknown coding, chunked", on("Transfer-Encoding: gzip, chunked\r\n"), ErrCodingElse},
	{"9112 6.1", "identity", on("Transfer-Encoding: identity\r\n"), ErrCodingElse},
	{"9112 6.1", "almost chunked", on("Transfer-Encoding: xchunked\r\n"), ErrCodingElse},
	{"9112 6.1", "chunked not last", on("Transfer-Encoding: chunked, gzip\r\n"), ErrCoding},
	{"9112 6.1", "chunked twice", on("Transfer-Encoding: chunked, chunked\r\n"), ErrCoding},
	{"9112 6.1", "chunked in two fields", on("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), ErrCoding},
	{"9112 6.1", "chunked, then another coding's field", on("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n"), ErrCoding},
	{"9112 6.1", "empty coding", on("Transfer-Encoding:\r\n"), ErrCoding},
	{"9112 6.1", "empty element", on("Transfer-Encoding: chunked,\r\n"), ErrCoding},
	{"9112 6.1", "empty element in front", on("Transfer-Encoding: ,chunked\r\n"), ErrCoding},
	{"9112 7.1", "chunked with a parameter", on("Transfer-Encoding: chunked;q=1\r\n"), ErrCoding},
	{"9112 6.1", "quoted chunked", on("Transfer-Encoding: \"chunked\"\r\n"), ErrCoding},
	{"9112 6.1", "vertical tab before chunked", on("Transfer-Encoding: \x0bchunked\r\n"), ErrValue},
	{"9110 8.6", "two lengths", on("Content-Length: 5\r\nContent-Length: 6\r\n"), ErrLengths},
	{"9110 8.6", "two equal lengths", on("Content-Length: 5\r\nContent-Length: 5\r\n"), ErrLengths},
	{"9110 8.6", "list of lengths", on("Content-Length: 5, 5\r\n"), ErrLength},
	{"9110 8.6", "empty length", on("Content-Length:\r\n"), ErrLength},
	{"9110 8.6", "sign", on("Content-Length: +5\r\n"), ErrLength},
	{"9110 8.6", "negative", on("Content-Length: -5\r\n"), ErrLength},
	{"9110 8.6", "hexadecimal", on("Content-Length: 0x5\r\n"), ErrLength},
	{"9110 8.6", "overflow", on("Content-Length: 9223372036854775808\r\n"), ErrLength},
	{"9110 8.6", "overflow twice", on("Content-Length: 18446744073709551621\r\n"), ErrLength},
	{"9110 9.3.8", "TRACE with a length", "TRACE / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", ErrUnframed},
	{"9110 9.3.8", "TRACE in chunks", "TRACE / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", ErrUnframed},
	{"3875 4.1.18", "Content_Length", on("Content_Length: 5\r\n"), ErrUnderscore},
	{"3875 4.1.18", "Content_Length after the right one", on("Content-Length: 5\r\nCONTENT_LENGTH: 5\r\n"), ErrUnderscore},
	{"3875 4.1.18", "Transfer_Encoding", on("transfer_encoding: chunked\r\n"), ErrUnderscore},
	{"9110 9.3.6", "CONNECT with a length", "CONNECT h:1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", ErrUnframed},

	{"9110 7.6.1", "Connection names Content-Length", on("Connection: close, content-length\r\n"), ErrConnectionName},
	{"9110 7.6.1", "Connection names Host", on("Connection: Host\r\n"), ErrConnectionName},
	{"9110 7.6.1", "option is no token", on("Connection: a b\r\n"), ErrConnection},
	{"9110 7.6.1", "many options", on("Connection: " + strings.Repeat("a,", 65) + "\r\n"), ErrConnection},
	{"9110 10.1.1", "unknown expectation", on("Expect: 200-ok\r\n"), ErrExpect},
}

func TestBadRequests(t *testing.T) {
	for _, c := range badRequests {
		t.Run(c.name, func(t *testing.T) {
			if got := parseRequest(nil, c.head); got.err != c.want || got.n != 0 {
				t.Errorf("RFC %s: %.200q: %d, %v, want %v", c.rfc, c.head, got.n, got.err, c.want)
			}
			if len(c.head) < 1000 {
				checkCuts(t, c.head, func(cuts ...int) result { return parseRequest(nil, c.head, cuts...) })
			}
		})
	}
}

// show says what a request is, without its fields' values.
func show(r *Request) string {
	s := fmt.Sprintf("%s %s path=%s host=%s 1.%d %s", r.MethodName, r.Form, r.Path, r.Host, r.Minor, r.Body)
	if r.Query != nil {
		s += fmt.Sprintf(" query=%q", r.Query)
	}
	if r.Body == ByLength {
		s += fmt.Sprintf(" %d", r.Length)
	}
	for _, flag := range []struct {
		is   bool
		name string
	}{{r.KeepAlive, "keep"}, {r.Expect100, "expect"}, {r.TETrailers, "trailers"}, {r.Upgrade != nil, "upgrade=" + string(r.Upgrade)}} {
		if flag.is {
			s += " " + flag.name
		}
	}
	hops := ""
	for _, f := range r.Fields {
		if f.Hop {
			hops = cmp.Or(hops, " hop") + ":" + string(f.Name)
		}
	}
	return s + hops
}

func TestGoodRequests(t *testing.T) {
	for _, c := range []struct{ rfc, head, want string }{
		{"9112 3", on(""), "GET origin path=/ host=h 1.1 no body keep"},
		{"9112 3", "get / HTTP/1.1\r\nhost:h\r\n\r\n", "get origin path=/ host=h 1.1 no body keep"},
		{"9112 2.2", "\r\n" + on(""), "GET origin path=/ host=h 1.1 no body keep"},
		{"9110 2.5", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", "GET origin path=/ host=h 1.1 no body keep"},
		{"9112 9.3", for10(""), "GET origin path=/ host= 1.0 no body"},
		{"9112 9.3", for10("Connection: Keep-Alive\r\n"), "GET origin path=/ host= 1.0 no body keep hop:Connection"},
		{"9112 9.3", for10("Connection: keep-alive, close\r\n"), "GET origin path=/ host= 1.0 no body hop:Connection"},
		{"9112 9.3", on("Connection: Close\r\n"), "GET origin path=/ host=h 1.1 no body hop:Connection"},
		{"9112 9.3", on("Connection: keep-alive\r\nConnection: close\r\n"), "GET origin path=/ host=h 1.1 no body hop:Connection:Connection"},
		{"9110 7.2", for10("Host: [::1]:80\r\n"), "GET origin path=/ host=[::1]:80 1.0 no body"},

		{"9112 3.2.1", "GET /a/%20?b?c=/ HTTP/1.1\r\nHost: h\r\n\r\n", `GET origin path=/a/%20 host=h 1.1 no body query="b?c=/" keep`},
		{"9112 3.2.1", "GET /? HTTP/1.1\r\nHost: h\r\n\r\n", `GET origin path=/ host=h 1.1 no body query="" keep`},
		{"9112 3.2.1", "GET /?%zz HTTP/1.1\r\nHost: h\r\n\r\n", `GET origin path=/ host=h 1.1 no body query="%zz" keep`},
		{"3986 2", "GET /|[]{}\"<>^`\\ HTTP/1.1\r\nHost: h\r\n\r\n", "GET origin path=/|[]{}\"<>^`\\ host=h 1.1 no body keep"},
		{"9112 3.2.2", "GET http://a:8080/x?y HTTP/1.1\r\nHost: h\r\n\r\n", `GET absolute path=/x host=a:8080 1.1 no body query="y" keep`},
		{"9112 3.2.2", "GET HTTPS://a HTTP/1.1\r\nHost: h\r\n\r\n", "GET absolute path=/ host=a 1.1 no body keep"},
		{"9112 3.2.2", "GET http://a?y HTTP/1.0\r\n\r\n", `GET absolute path=/ host=a 1.0 no body query="y"`},
		{"9112 3.2.3", "CONNECT a:443 HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT authority path= host=a:443 1.1 no body keep"},
		{"9112 3.2.4", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS asterisk path=* host=h 1.1 no body keep"},
		{"9112 3.2.4", "OPTIONS http://a HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS absolute path=* host=a 1.1 no body keep"},

		{"9112 6.3", on("Content-Length: 007\r\n"), "GET origin path=/ host=h 1.1 by length 7 keep"},
		{"9112 6.3", on("content-length:\t0 \t\r\n"), "GET origin path=/ host=h 1.1 by length 0 keep"},
		{"9112 6.3", on("Content-Length: 9223372036854775799\r\n"), "GET origin path=/ host=h 1.1 by length 9223372036854775799 keep"},
		{"9112 6.1", on("TRANSFER-ENCODING: ChunkeD\r\n"), "GET origin path=/ host=h 1.1 chunked keep hop:TRANSFER-ENCODING"},

		{"9110 10.1.1", on("Content-Length: 5\r\nExpect: 100-Continue\r\n"), "GET origin path=/ host=h 1.1 by length 5 keep expect"},
		{"9110 10.1.1", on("Expect: 100-continue\r\n"), "GET origin path=/ host=h 1.1 no body keep"},
		{"9110 10.1.1", for10("Content-Length: 5\r\nExpect: 100-continue\r\n"), "GET origin path=/ host= 1.0 by length 5"},
		{"9110 7.8", on("Connection: Upgrade\r\nUpgrade: websocket\r\n"), "GET origin path=/ host=h 1.1 no body keep upgrade=websocket hop:Connection:Upgrade"},
		{"9110 7.8", on("Upgrade: websocket\r\n"), "GET origin path=/ host=h 1.1 no body keep hop:Upgrade"},
		{"9110 7.8", for10("Connection: upgrade\r\nUpgrade: x\r\n"), "GET origin path=/ host= 1.0 no body hop:Connection:Upgrade"},
		{"9110 7.8", on("Connection: upgrade\r\nUpgrade: x\r\nUpgrade: y\r\n"), "GET origin path=/ host=h 1.1 no body keep hop:Connection:Upgrade:Upgrade"},
		{"9110 10.1.4", on("Connection: TE\r\nTE: gzip, Trailers\r\n"), "GET origin path=/ host=h 1.1 no body keep trailers hop:Connection:TE"},
		{"9110 10.1.4", on("TE: trailers\r\n"), "GET origin path=/ host=h 1.1 no body keep hop:TE"},
		{"9110 7.6.1", on("X-a: 1\r\nX-B: 2\r\nConnection: ,x-A ,, y\r\nX-A: 3\r\n"), "GET origin path=/ host=h 1.1 no body keep hop:X-a:Connection:X-A"},
		{
			"9110 7.6.1", on("Keep-Alive: 5\r\nProxy-Connection: x\r\nTrailer: y\r\nProxy-Authorization: z\r\n"),
			"GET origin path=/ host=h 1.1 no body keep hop:Keep-Alive:Proxy-Connection:Trailer:Proxy-Authorization",
		},
	} {
		var p Parser
		var r Request
		n, err := p.Request([]byte(c.head+"rest"), &r)
		if err != nil || n != len(c.head) {
			t.Errorf("RFC %s: %q: %d of %d, %v", c.rfc, c.head, n, len(c.head), err)
			continue
		}
		if got := show(&r); got != c.want {
			t.Errorf("RFC %s: %q\n got %s\nwant %s", c.rfc, c.head, got, c.want)
		}
		checkCuts(t, c.head, func(cuts ...int) result { return parseRequest(nil, c.head, cuts...) })
	}
}
