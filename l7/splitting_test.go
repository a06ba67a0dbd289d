package l7

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// A lie is an answer of a hostile backend, and what the client must get: the
// status of an answer that is whole, or an answer that is cut off.
type lie struct {
	class, name, method string
	answer              string
	later               string // written a moment after the answer
	status              int
	cut                 bool
	body                string // of an answer that passes
	hangUp              bool   // the backend closes after it
}

const evil = "HTTP/1.1 200 OK\r\nX-Path: /evil\r\nContent-Length: 4\r\n\r\nevil"

func ok(fields, body string) string { return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" + body }

func lies() (all []lie) {
	for _, c := range []struct{ name, fields string }{
		{"length and chunks", "Content-Length: 5\r\n" + chunked},
		{"chunks and length", chunked + "Content-Length: 5\r\n"},
		{"two lengths", "Content-Length: 5\r\nContent-Length: 0\r\n"},
		{"two lengths, the same", "Content-Length: 5\r\nContent-Length: 5\r\n"},
		{"list of lengths", "Content-Length: 5, 5\r\n"},
		{"plus", "Content-Length: +5\r\n"},
		{"minus", "Content-Length: -5\r\n"},
		{"hexadecimal", "Content-Length: 0x5\r\n"},
		{"empty", "Content-Length:\r\n"},
		{"2^64", "Content-Length: 18446744073709551621\r\n"},
		{"chunked twice", chunked + chunked},
		{"chunked, identity", "Transfer-Encoding: chunked, identity\r\n"},
		{"identity", "Transfer-Encoding: identity\r\n"},
		{"gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n"},
		{"xchunked", "Transfer-Encoding: xchunked\r\n"},
		{"vertical tab", "Transfer-Encoding: \x0bchunked\r\n"},
		{"space before the colon", "Transfer-Encoding : chunked\r\n"},
		{"underscore", "Content_Length: 5\r\n"},
		{"folded", "X: y\r\n z\r\nContent-Length: 5\r\n"},
		{"bare LF", "X: y\nContent-Length: 5\r\n"},
		{"bare CR", "X: y\rContent-Length: 5\r\n"},
		{"NUL", "X: \x00\r\nContent-Length: 5\r\n"},
		{"no colon", "X\r\nContent-Length: 5\r\n"},
		{"Connection names the length", "Connection: Content-Length\r\nContent-Length: 5\r\n"},
		{"large head", "X: " + strings.Repeat("y", 70<<10) + "\r\nContent-Length: 5\r\n"},
		{"many fields", strings.Repeat("X: y\r\n", 300) + "Content-Length: 5\r\n"},
	} {
		all = append(all, lie{class: "framing", name: c.name, answer: ok(c.fields, "hello"+evil), status: 502})
	}
	for _, c := range []struct{ name, head string }{
		{"HTTP/0.9", "hello\r\n\r\n"},
		{"HTTP/2", "HTTP/2 200 OK\r\n\r\n"},
		{"HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n"},
		{"099", "HTTP/1.1 099 X\r\n\r\n"},
		{"600", "HTTP/1.1 600 X\r\n\r\n"},
		{"two digits", "HTTP/1.1 20 X\r\n\r\n"},
		{"four digits", "HTTP/1.1 2000 X\r\n\r\n"},
		{"no space", "HTTP/1.1 200OK\r\n\r\n"},
		{"two spaces", "HTTP/1.1  200 OK\r\n\r\n"},
		{"empty line in front", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"},
		{"bare CR in the phrase", "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n"},
		{"NUL in the phrase", "HTTP/1.1 200 \x00\r\n\r\n"},
		{"TLS alert", "\x15\x03\x03\x00\x02\x02\x28"},
		{"chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\n" + chunked + "\r\n0\r\n\r\n"},
	} {
		all = append(all, lie{class: "line", name: c.name, answer: c.head, status: 502})
	}
	hello := ok("Content-Length: 5\r\n", "hello")
	interim := "HTTP/1.1 100 Continue\r\n\r\n"
	return append(all,
		lie{class: "1xx", name: "one", answer: interim + hello, status: 200, body: "hello"},
		lie{class: "1xx", name: "thirty-two", answer: strings.Repeat(interim, 32) + hello, status: 200, body: "hello"},
		lie{class: "1xx", name: "flood", answer: strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n", 1000) + hello, status: 502},
		lie{class: "1xx", name: "101 unasked", answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" + evil, status: 502},
		lie{class: "1xx", name: "length", answer: "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello" + hello, status: 502},
		lie{class: "1xx", name: "length of 0", answer: "HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n" + hello, status: 200, body: "hello"},
		lie{class: "1xx", name: "chunks", answer: "HTTP/1.1 103 Early Hints\r\n" + chunked + "\r\n" + hello, status: 502},
		lie{class: "1xx", name: "with a body", answer: interim + "hello" + hello, status: 502},

		lie{class: "no body", name: "204 with a length", answer: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", status: 502},
		lie{class: "no body", name: "204 in chunks", answer: "HTTP/1.1 204 No Content\r\n" + chunked + "\r\n" + chunk("hello"), status: 502},
		lie{class: "no body", name: "204 and another answer", answer: "HTTP/1.1 204 No Content\r\n\r\n" + evil, status: 204},
		lie{class: "no body", name: "304 with a body", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", status: 304},
		lie{class: "no body", name: "304 and another answer", answer: "HTTP/1.1 304 Not Modified\r\n\r\n" + evil, status: 304},
		lie{class: "no body", name: "HEAD with a body", method: "HEAD", answer: ok(lengthOf(evil), evil), status: 200},
		lie{class: "no body", name: "HEAD with a body later", method: "HEAD", answer: ok(lengthOf(evil), ""), later: evil, status: 200},
		lie{class: "no body", name: "HEAD in chunks", method: "HEAD", answer: ok(chunked, chunk(evil)), status: 200},

		lie{class: "excess", name: "another answer", answer: hello + evil, status: 200, body: "hello"},
		lie{class: "excess", name: "another answer later", answer: hello, later: evil, status: 200, body: "hello"},
		lie{class: "excess", name: "half a head", answer: hello + "HTTP/1.1 200 OK\r\nX:", status: 200, body: "hello"},
		lie{class: "excess", name: "one byte later", answer: hello, later: "H", status: 200, body: "hello"},
		lie{class: "excess", name: "after chunks", answer: ok(chunked, chunk("hello")) + evil, status: 200, body: "hello"},
		lie{class: "excess", name: "after chunks, later", answer: ok(chunked, chunk("hello")), later: evil, status: 200, body: "hello"},
		lie{class: "excess", name: "after a length of 0", answer: ok("Content-Length: 0\r\n", "") + evil, status: 200},
		lie{class: "excess", name: "empty lines", answer: hello + "\r\n\r\n", status: 200, body: "hello"},
		lie{class: "excess", name: "a second end of chunks", answer: ok(chunked, chunk("hello")) + lastzero, status: 200, body: "hello"},

		lie{class: "body", name: "an answer in a body until the end", answer: "HTTP/1.0 200 OK\r\n\r\n" + evil, hangUp: true, status: 200, body: evil},
		lie{class: "body", name: "an answer in chunks", answer: ok(chunked, chunk(evil)), status: 200, body: evil},
		lie{class: "body", name: "shorter than its length", answer: ok("Content-Length: 500\r\n", evil), hangUp: true, cut: true},
		lie{class: "body", name: "chunks without an end", answer: ok(chunked, "5\r\nhello\r\n"), hangUp: true, cut: true},
		lie{class: "body", name: "bad chunk size", answer: ok(chunked, "5\r\nhello\r\n-1\r\n"), cut: true},
		lie{class: "body", name: "0x before a size", answer: ok(chunked, "0x5\r\nhello\r\n"+lastzero), cut: true},
		lie{class: "body", name: "bare LF after a size", answer: ok(chunked, "5\nhello\r\n"+lastzero), cut: true},
		lie{class: "body", name: "no CRLF after the data", answer: ok(chunked, "5\r\nhello"+lastzero), cut: true},
		lie{class: "body", name: "size of 2^64", answer: ok(chunked, "10000000000000005\r\nhello\r\n"+lastzero), cut: true},
		lie{class: "body", name: "length in trailers", answer: ok(chunked, "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"), cut: true},
		lie{class: "body", name: "bare CR in trailers", answer: ok(chunked, "5\r\nhello\r\n0\r\nX: y\rZ: z\r\n\r\n"), cut: true},
		lie{class: "body", name: "an answer as a trailer", answer: ok(chunked, "5\r\nhello\r\n0\r\n"+evil), cut: true},

		lie{class: "early", name: "before a body that does not come", method: "POST", answer: hello, status: 200, body: "hello"},
		lie{class: "early", name: "two before a body that does not come", method: "POST", answer: hello + evil, status: 200, body: "hello"},
	)
}

// liar answers /lieN with a lie, and everything else truthfully. It tells when it has written
// what comes later.
func liar(t testing.TB, all []lie, later chan<- struct{}) func(net.Conn) {
	return func(c net.Conn) {
		in, buf := "", make([]byte, 64<<10)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			in += string(buf[:n])
			for strings.Contains(in, "\r\n\r\n") {
				i := -1
				if fmt.Sscanf(in[strings.IndexByte(in, ' ')+1:], "/lie%d", &i); i >= 0 {
					_, in, _ = strings.Cut(in, "\r\n\r\n")
					io.WriteString(c, all[i].answer)
					if all[i].later != "" {
						time.Sleep(2 * time.Millisecond)
						io.WriteString(c, all[i].later)
						later <- struct{}{}
					}
					if all[i].hangUp {
						return
					}
					continue
				}
				m, rest, err := readStrictly(in, requestShape, false)
				if err != nil {
					t.Errorf("the liar got %q: %v", in, err)
					return
				}
				in = rest
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Path: %s\r\nContent-Length: 0\r\n\r\n", m.target())
			}
		}
	}
}

func TestAHostileBackendHarmsNobodyElse(t *testing.T) {
	l := newLab(t)
	all := lies()
	s := l.service("web", lb.RoundRobin)
	later := make(chan struct{}, len(all))
	s.Backends = []lb.Backend{{ID: 1, Name: "liar", Addr: rawBackend(t, liar(t, all, later)), Weight: 1, Health: lb.Up}}
	s.HTTP.Retries = -1
	l.apply()
	// A client that stays, and shares the backend's connections with the victims.
	stays := rawDial(t, s.VIP.Addr)
	for i, k := range all {
		name := k.class + ", " + k.name
		if k.method == "" {
			k.method = "GET"
		}
		fields := ""
		if k.method == "POST" {
			fields = "Content-Length: 9\r\n"
		}
		c := rawDial(t, s.VIP.Addr)
		fmt.Fprintf(c, "%s /lie%d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n", k.method, i, fields)
		if k.class == "early" {
			time.Sleep(2 * time.Millisecond)
			c.(*net.TCPConn).SetLinger(0)
		}
		got, _ := io.ReadAll(c)
		c.Close()
		k.judge(t, name, string(got))
		if k.later != "" {
			// What comes when the next request is on its way cannot be told from its answer,
			// by anybody. What came before must not be taken for it.
			select {
			case <-later:
			case <-time.After(10 * time.Second):
				t.Fatalf("%s: the liar was not asked", name)
			}
		}
		path := fmt.Sprint("/truth", i)
		fmt.Fprintf(stays, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
		buf := make([]byte, 4096)
		n, err := stays.Read(buf)
		m, rest, bad := readStrictly(string(buf[:n]), responseShape, false)
		if err != nil || bad != nil || rest != "" || len(m.get("x-path")) != 1 || m.get("x-path")[0] != path {
			t.Fatalf("%s: the next client asked for %s and got %q, %v", name, path, buf[:n], err)
		}
	}
	t.Logf("%d answers", len(all))
}

// judge checks what a client got: one answer, in its strict form.
func (k lie) judge(t testing.TB, name, got string) {
	var m *reading
	rest, err := got, error(nil)
	for rest != "" {
		if m, rest, err = readStrictly(rest, responseShape, k.method == "HEAD" || strings.HasPrefix(rest, "HTTP/1.1 1") || strings.HasPrefix(rest, "HTTP/1.1 304")); err != nil {
			break
		}
		if m.first[9] != '1' {
			break
		}
		if len(m.get("content-length")) > 0 {
			t.Errorf("%s: an interim answer with a length: %q", name, m.fields)
		}
	}
	switch {
	case k.cut:
		if !errors.Is(err, errPartial) || !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("%s: the client got %q, %v, want an answer that is cut off", name, got, err)
		}
	case err != nil || m == nil || rest != "":
		t.Errorf("%s: the client got %q: %v, and %q after it", name, got, err, rest)
	case m.first[9:12] != fmt.Sprint(k.status) || k.status == 200 && m.body != k.body:
		t.Errorf("%s: the client got %q", name, got)
	}
}

func TestABackendThatIgnoresBodiesSeesNoSecondRequest(t *testing.T) {
	// It answers a head at once and takes what follows for the next one, unless it
	// was told that there is none.
	l := newLab(t)
	smuggled := make(chan string, 100)
	addr := rawBackend(t, func(c net.Conn) {
		in, buf := "", make([]byte, 64<<10)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			for in += string(buf[:n]); strings.Contains(in, "\r\n\r\n"); {
				var head string
				head, in, _ = strings.Cut(in, "\r\n\r\n")
				if strings.Contains(head, second) {
					smuggled <- head
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				if strings.Contains(strings.ToLower(head), "\r\nconnection: close") {
					return
				}
			}
		}
	})
	s := l.service("web", lb.RoundRobin)
	s.Backends = []lb.Backend{{ID: 1, Name: "r", Addr: addr, Weight: 1, Health: lb.Up}}
	l.apply()
	for _, method := range []string{"GET", "HEAD", "DELETE", "OPTIONS"} {
		for _, b := range []string{with(method, lengthOf(hidden), hidden), with(method, chunked, chunk("x\r\n\r\n"+hidden))} {
			talk(t, s.VIP.Addr, b, 1, false, "")
		}
	}
	if len(smuggled) > 0 {
		t.Errorf("%q", <-smuggled)
	}
}

func TestABodyThatComesAfterItsAnswerIsNoRequest(t *testing.T) {
	l := newLab(t)
	got := make(chan string, 100)
	addr := rawBackend(t, func(c net.Conn) { // answers each head, and looks at nothing else
		in, buf := "", make([]byte, 64<<10)
		for {
			n, err := c.Read(buf)
			if in += string(buf[:n]); err != nil {
				got <- in
				return
			}
			if strings.Count(in, "\r\n\r\n") > 0 {
				io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
			}
		}
	})
	s := l.service("web", lb.RoundRobin)
	s.Backends = []lb.Backend{{ID: 1, Name: "r", Addr: addr, Weight: 1, Health: lb.Up}}
	l.apply()
	for _, fields := range []string{lengthOf(hidden), lengthOf(hidden) + "Expect: 100-continue\r\n", chunked, chunked + "Expect: 100-continue\r\n"} {
		c := rawDial(t, s.VIP.Addr)
		io.WriteString(c, with("POST", fields, ""))
		buf := make([]byte, 4096)
		n, err := c.Read(buf)
		if err != nil || !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 401 ") || !strings.Contains(string(buf[:n]), "\r\nConnection: close\r\n") {
			t.Fatalf("%q: %q, %v", fields, buf[:n], err)
		}
		io.WriteString(c, hidden)
		more, _ := io.ReadAll(c)
		c.Close()
		if in := <-got; len(more) > 0 || strings.Contains(in, second) {
			t.Errorf("%q: after the answer the client got %q; the backend got %q", fields, more, in)
		}
	}
}
