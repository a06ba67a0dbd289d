package http1

import (
	"strings"
	"testing"
	"time"
)

// usedRequest returns a parser and a request that have read a head in which as
// much is set as there can be, a half of another, and a mistake.
func usedRequest() (*Parser, *Request) {
	p, r := new(Parser), new(Request)
	head := []byte("\r\nPOST http://h/p?q HTTP/1.1\r\nHost: h\r\nConnection: TE, upgrade, X\r\nTE: trailers\r\nUpgrade: u\r\n" +
		"Expect: 100-continue\r\nX: y\r\nContent-Length: 7\r\n\r\n")
	p.Request(head, r)
	p.Request(head[:len(head)-9], r)
	if _, err := p.Request(append(head[:len(head)-9], 0), r); err == nil {
		panic("no mistake")
	}
	return p, r
}

func usedResponse() (*Parser, *Response) {
	p, r := new(Parser), new(Response)
	head := []byte(ok("Connection: upgrade, X\r\nUpgrade: u\r\nX: y\r\nContent-Length: 7\r\n"))
	p.Response(head, GET, r)
	p.Response(head[:len(head)-9], GET, r)
	if _, err := p.Response(append(head[:len(head)-9], 0), GET, r); err == nil {
		panic("no mistake")
	}
	return p, r
}

func TestNothingIsLeftOfEarlierHeads(t *testing.T) {
	p, r := usedRequest()
	if p.line != 0 || p.count != 0 || p.empty != 0 || p.again || p.facts.is != 0 || p.facts.host != nil {
		t.Errorf("parser after an error: %+v", p)
	}
	if _, err := p.Request([]byte(for10("")), r); err != nil {
		t.Fatal(err)
	}
	if got, want := show(r), "GET origin path=/ host= 1.0 no body"; got != want || r.Length != 0 || r.Query != nil || len(r.Fields) != 0 {
		t.Errorf("%s, want %s", got, want)
	}
	q, s := usedResponse()
	if _, err := q.Response([]byte("HTTP/1.0 200\r\n\r\n"), GET, s); err != nil {
		t.Fatal(err)
	}
	if s.Upgrade != nil || s.Length != 0 || s.KeepAlive || len(s.Fields) != 0 || s.Minor != 0 || len(s.Reason) != 0 {
		t.Errorf("%+v", s)
	}
}

func TestResetForgetsAHeadThatWasBegun(t *testing.T) {
	var p Parser
	var r Request
	for _, part := range []string{"\r", "GE", "GET /", "GET / HTTP/1.1\r\nHost: a\r\nX"} {
		if n, err := p.Request([]byte(part), &r); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		p.Reset()
		head := []byte(on(""))
		if n, err := p.Request(head, &r); n != len(head) || err != nil || string(r.Host) != "h" {
			t.Errorf("after %q: %d, %v, %+v", part, n, err, r)
		}
	}
}

func TestPipelinedHeads(t *testing.T) {
	var p Parser
	var r Request
	in := []byte(strings.Repeat(on("X: y\r\n")+for10("Connection: close\r\n"), 3))
	heads := 0
	for ; len(in) > 0; heads++ {
		n, err := p.Request(in, &r)
		if n == 0 || err != nil {
			t.Fatal(n, err)
		}
		if int(r.Minor) != 1-heads%2 || len(r.Fields) != 2-heads%2 {
			t.Errorf("head %d: %+v", heads, r)
		}
		in = in[n:]
	}
	if heads != 6 {
		t.Errorf("%d heads", heads)
	}
}

func TestLimitsAreExact(t *testing.T) {
	limits := &Limits{Line: 30, Head: 60, Fields: 2}
	for _, c := range []struct {
		head string
		want *Error
	}{
		{"GET /2345678901234567 HTTP/1.1\r\nHost: h\r\n\r\n", nil},
		{"GET /23456789012345678 HTTP/1.1\r\nHost: h\r\n\r\n", ErrLine},
		{"\r\nGET /2345678901234567 HTTP/1.1\r\nHost: h\r\n\r\n", nil},
		{"GET / HTTP/1.1\r\nHost: 3456789012345678901234567890123456\r\n\r\n", nil},
		{"GET / HTTP/1.1\r\nHost: 34567890123456789012345678901234567\r\n\r\n", ErrHead},
		{"\r\nGET / HTTP/1.1\r\nHost: 3456789012345678901234567890123456\r\n\r\n", nil},
		{"\r\nGET / HTTP/1.1\r\nHost: 34567890123456789012345678901234567\r\n\r\n", ErrHead},
		{"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n", nil},
		{"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\nZ: \r\n\r\n", ErrFields},
		{strings.Repeat("G", 32), ErrLine},
	} {
		got := parseRequest(limits, c.head)
		if got.err != c.want || c.want == nil && got.n != len(c.head) {
			t.Errorf("%q of %d bytes: %d, %v, want %v", c.head, len(c.head), got.n, got.err, c.want)
		}
		checkCuts(t, c.head, func(cuts ...int) result { return parseRequest(limits, c.head, cuts...) })
	}
}

// Quadratic time would be some seconds for each, with the race detector a minute.
func TestAHeadByteByByteCostsLinearTime(t *testing.T) {
	for name, head := range map[string]string{
		"target": "GET /" + strings.Repeat("a", 60000) + " HTTP/1.1\r\nHost: h\r\n\r\n",
		"name":   on(strings.Repeat("a", 60000) + ": b\r\n"),
		"value":  on("a: " + strings.Repeat("\t", 60000) + "b\r\n"),
		"fields": on(strings.Repeat("a:\r\n", 12000)),
		"option": on("Connection: " + strings.Repeat(",", 60000) + "\r\n"),
	} {
		p, r := Parser{Limits: &Limits{Line: 65536, Head: 65536, Fields: 65536}}, Request{}
		buf, start := []byte(head), time.Now()
		for i := range buf {
			if n, err := p.Request(buf[:i], &r); n != 0 || err != nil {
				t.Fatalf("%s: %d bytes: %d, %v", name, i, n, err)
			}
		}
		if n, err := p.Request(buf, &r); n != len(buf) || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s: %v", name, took)
		}
	}
}

func TestErrorsSaySomething(t *testing.T) {
	var err error = ErrBareLF
	if got, want := err.Error(), "http1: LF without CR (400)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	e := ErrBareLF.ForResponse()
	if e.Status != 502 || e.Reason != ErrBareLF.Reason || e.ForResponse() != e || (*Error)(nil).ForResponse() != nil {
		t.Errorf("%+v", e)
	}
}
