package http1

import (
	"strings"
	"testing"
	"time"
)

func TestWhatIsAppended(t *testing.T) {
	at := time.Date(1994, 11, 6, 9, 49, 37, 999, time.FixedZone("", 3600))
	for _, c := range []struct{ got, want string }{
		{string(AppendStatusLine(nil, 200)), "HTTP/1.1 200 OK\r\n"},
		{string(AppendStatusLine(nil, 599)), "HTTP/1.1 599 \r\n"},
		{string(AppendStatusLineReason(nil, 404, "Lost")), "HTTP/1.1 404 Lost\r\n"},
		{string(AppendField(nil, "Host", []byte("h"))), "Host: h\r\n"},
		{string(AppendFieldUint(nil, "Content-Length", 18446744073709551615)), "Content-Length: 18446744073709551615\r\n"},
		{string(AppendUint(AppendHex(nil, 255), 255)), "ff255"},
		{string(AppendChunkHead(nil, 4096)), "1000\r\n"},
		{string(AppendLastChunk(nil, nil)), "0\r\n\r\n"},
		{string(AppendLastChunk(nil, []Field{{Name: []byte("A"), Value: []byte("b")}})), "0\r\nA: b\r\n\r\n"},
		{string(AppendDate(nil, at)), "Sun, 06 Nov 1994 08:49:37 GMT"}, // RFC 9110 5.6.7
		{ReasonPhrase(-1) + ReasonPhrase(600) + ReasonPhrase(418), ""},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	if n := len(AppendChunkHead(nil, 1<<64-1)); n != MaxChunkHead {
		t.Errorf("the longest chunk head has %d bytes", n)
	}
}

func TestValidFieldIsWhatAParserReadsBack(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"X-A", "b c\td\xe4", true},
		{"x", "", true},
		{"", "b", false},
		{"X A", "b", false},
		{"X:", "b", false},
		{"X", "b\r\nY: c", false},
		{"X", "b\x00", false},
		{"X", " b", false},
		{"X", "b\t", false},
	} {
		if got := validField(c.name, []byte(c.value)); got != c.want {
			t.Errorf("%q: %q: %v", c.name, c.value, got)
		}
		var p Parser
		var r Request
		head := AppendField([]byte("GET / HTTP/1.0\r\n"), c.name, c.value)
		_, err := p.Request(append(head, "\r\n"...), &r)
		if back := err == nil && len(r.Fields) == 1 && string(r.Fields[0].Name) == c.name && string(r.Fields[0].Value) == c.value; back != c.want {
			t.Errorf("%q: %q: read back %v", c.name, c.value, back)
		}
	}
}

func TestTokensOfLists(t *testing.T) {
	for _, c := range []struct {
		list string
		want bool
	}{
		{"gzip", true},
		{"a, GZip ,b", true},
		{",,\tgzip", true},
		{"gzip;q=1", false},
		{"xgzip, gzipx", false},
		{"", false},
	} {
		if got := HasToken([]byte(c.list), "gzip"); got != c.want {
			t.Errorf("%q: %v", c.list, got)
		}
	}
}

func TestEveryKnownNameIsFoundWhateverItsCase(t *testing.T) {
	for id := NameOther + 1; id < lastName; id++ {
		name := id.String()
		for _, n := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := LookupName([]byte(n)); got != id {
				t.Errorf("%s is %s", n, got)
			}
		}
		for i := range name {
			other := []byte(name)
			other[i] = '~'
			if got := LookupName(other); got != NameOther {
				t.Errorf("%s is %s", other, got)
			}
		}
	}
	for m := GET; m <= PATCH; m++ {
		if got := LookupMethod([]byte(m.String())); got != m {
			t.Errorf("%s is %s", m, got)
		}
	}
	for name, want := range map[string]bool{"GET": true, "HEAD": true, "PUT": true, "DELETE": true, "OPTIONS": true, "TRACE": true} {
		if got := LookupMethod([]byte(name)).Idempotent(); got != want {
			t.Errorf("%s idempotent: %v", name, got)
		}
	}
	for _, name := range []string{"POST", "PATCH", "CONNECT", "get", ""} {
		if LookupMethod([]byte(name)).Idempotent() {
			t.Errorf("%q is idempotent", name)
		}
	}
}

func TestHosts(t *testing.T) {
	for _, h := range []string{
		"a", "a.b-c_d~e", "a:", "a:0", "a:65535", "10.0.0.1:80", "%41b", "!$&'()*+,;=",
		"[::]", "[::1]", "[1::]", "[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7::]", "[::2:3:4:5:6:7:8]", "[1::8]:80", "[::1.2.3.4]", "[1:2:3:4:5:6:1.2.3.4]", "[ABCD::ef01]",
	} {
		if !validHost([]byte(h)) {
			t.Errorf("%s is refused", h)
		}
	}
	for _, h := range []string{
		"", ":", ":80", "a b", "a/b", "a@b", "a:65536", "a:+1", "a:080808", "a:b", "a:1:2", "%4", "%4g", "a\"", "a\x80", "a?", "a#", "a\\b", "::1",
		"[", "[]", "[:]", "[:::]", "[1]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[1:2:3:4::5:6:7:8]", "[1::2::3]", "[12345::]", "[g::]", "[:1]", "[1:]", "[::1", "[::1]a", "[::1]:x",
		"[::1%eth0]", "[::1.2.3]", "[::1.2.3.256]", "[::01.2.3.4]", "[::1.2.3.4:5]", "[1.2.3.4]", "[1:2:3:4:5:6:7:1.2.3.4]", "[v1.a]",
	} {
		if validHost([]byte(h)) {
			t.Errorf("%s is accepted", h)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	var p Parser
	var q Request
	var r Response
	var b Body
	get, resp := []byte(benchBrowser), []byte(benchResponse)
	body := []byte("5;a=b\r\nhello\r\n0\r\nX: y\r\nZ: z\r\n\r\n")
	out := make([]byte, 0, 1024)
	now := time.Now()
	for name, f := range map[string]func(){
		"request":  func() { p.Request(get, &q) },
		"pieces":   func() { p.Request(get[:99], &q); p.Request(get[:200], &q); p.Request(get, &q) },
		"response": func() { p.Response(resp, GET, &r) },
		"error":    func() { p.Request(resp, &q) },
		"body": func() {
			b.Start(Chunked, 0)
			for in, done := body, false; !done; {
				var n int
				_, n, done, _ = b.Next(in)
				in = in[n:]
			}
		},
		"append": func() {
			out = appendRequestLine(out[:0], q.MethodName, "/", 1)
			out = AppendStatusLine(out, 200)
			out = AppendField(out, "Host", q.Host)
			out = AppendFieldUint(out, "Content-Length", 1234567)
			out = AppendChunkHead(out, 1234567)
			out = AppendLastChunk(out, b.Trailers())
			out = AppendDate(out, now)
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
