package http1

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// tight limits are met by short heads.
var tight = &Limits{Line: 24, Head: 64, Fields: 3}

// someCuts returns the prefixes that a head arrives in: byte by byte if seed is 0.
func someCuts(length int, seed uint64) (cuts []int) {
	random := rand.New(rand.NewPCG(seed, 0))
	for at := 0; at < length; at++ {
		if seed == 0 || random.Uint64N(1+seed%20) == 0 {
			cuts = append(cuts, at)
		}
	}
	return cuts
}

func FuzzRequest(f *testing.F) {
	for _, c := range badRequests {
		f.Add(c.head[:min(len(c.head), 500)], uint64(1))
	}
	f.Add("\r\n"+benchBrowser+"rest", uint64(0))
	f.Add("OPTIONS http://[::1]:8?x HTTP/1.0\r\nConnection: X, keep-alive\r\nX: y\r\n\r\n", uint64(7))
	f.Add("0 / HTTP/1.0\r\n0:\r\n0:\r\n0:\r\n0", uint64(0))                            // one field too many for tight
	f.Add("CONNECT h:1 HTTP/1.1\r\nHost:A, h\r\nContent-Length: 5\r\n\r\n", uint64(0)) // a Host that the next call's buffer has elsewhere
	f.Add("CONNECT a:1 HTTP/1.1\r\nHost:b\r\nX:\ty \r\n\r\n", uint64(7))
	f.Fuzz(func(t *testing.T, head string, seed uint64) {
		for _, limits := range []*Limits{nil, tight} {
			whole := parseRequest(limits, head)
			if cuts := someCuts(len(head), seed); parseRequest(limits, head, cuts...) != whole {
				t.Errorf("%q cut at %v:\n%+v\nwhole:\n%+v", head, cuts, parseRequest(limits, head, cuts...), whole)
			}
			if whole.n > len(head) {
				t.Errorf("%d of %d bytes", whole.n, len(head))
			}
		}
		var p Parser
		var r Request
		if n, err := p.Request([]byte(head), &r); n > 0 && err == nil {
			checkRequest(t, &r)
		}
		compareRequest(t, head)
	})
}

// checkRequest holds a parsed request to what users rely on, and to its own
// serialisation.
func checkRequest(t *testing.T, r *Request) {
	if r.Minor > 1 || r.Body == UntilClose || len(r.Path) == 0 && r.Method != CONNECT || len(r.Host) == 0 && r.Minor > 0 {
		t.Errorf("%+v", r)
	}
	out := appendRequestLine(nil, r.MethodName, r.Target, r.Minor)
	for _, f := range r.Fields {
		if !validField(f.Name, f.Value) {
			t.Errorf("field %q: %q", f.Name, f.Value)
		}
		out = AppendField(out, f.Name, f.Value)
	}
	out = append(out, "\r\n"...)
	p, again := usedRequest()
	if n, err := p.Request(out, again); n != len(out) || err != nil || fmt.Sprintf("%q", []any{*again}) != fmt.Sprintf("%q", []any{*r}) {
		t.Errorf("%+v\nwritten as %q: %v\n%+v", r, out, err, again)
	}
}

func FuzzResponse(f *testing.F) {
	for _, head := range []string{
		benchResponse, ok(""), ok("Transfer-Encoding: chunked\r\n"), "HTTP/1.0 204\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n", ok("Content-Length: 5\r\nContent-Length: 5\r\n"),
		"HTTP/1.0 1000",
		"HTTP/1.1 304 \r\nContent-Length: 7\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 \xe4\t\r\nX: \ty\t\r\n\r\n",
	} {
		for seed := range uint64(3) {
			f.Add(head, seed, seed == 2)
		}
	}
	f.Fuzz(func(t *testing.T, head string, seed uint64, toHead bool) {
		to := GET
		if toHead {
			to = HEAD
		}
		for _, limits := range []*Limits{nil, tight} {
			whole := parseResponse(limits, to, head)
			if cuts := someCuts(len(head), seed); parseResponse(limits, to, head, cuts...) != whole {
				t.Errorf("%q cut at %v:\n%+v\nwhole:\n%+v", head, cuts, parseResponse(limits, to, head, cuts...), whole)
			}
			if whole.n > len(head) || whole.err != nil && whole.err.Status != 502 {
				t.Errorf("%+v of %d bytes", whole, len(head))
			}
		}
		var p Parser
		var r Response
		if n, err := p.Response([]byte(head), to, &r); n > 0 && err == nil {
			checkResponse(t, to, &r)
		}
		compareResponse(t, to, head)
	})
}

func checkResponse(t *testing.T, to Method, r *Response) {
	if r.Minor > 1 || r.Status < 100 || r.Status > 599 || r.Body == UntilClose && r.KeepAlive {
		t.Errorf("%+v", r)
	}
	out := AppendStatusLineReason(nil, r.Status, r.Reason)
	out[len("HTTP/1.")] = '0' + r.Minor
	for _, f := range r.Fields {
		out = AppendField(out, f.Name, f.Value)
	}
	out = append(out, "\r\n"...)
	p, again := usedResponse()
	if n, err := p.Response(out, to, again); n != len(out) || err != nil || fmt.Sprintf("%q", []any{*again}) != fmt.Sprintf("%q", []any{*r}) {
		t.Errorf("%+v\nwritten as %q: %v\n%+v", r, out, err, again)
	}
}

func FuzzBody(f *testing.F) {
	for seed := range uint64(3) {
		f.Add("5;a;b=\"c\\\"\"\r\nhello\r\n0\r\nX: y\r\nDate: z\r\n\r\nrest", seed)
		f.Add("1\r\nx\r\n000A ; y\r\n0123456789\r\n0\r\n\r\n", seed)
		f.Add("7fffffffffffffff\r\nx", seed)
	}
	f.Fuzz(func(t *testing.T, wire string, seed uint64) {
		var b, c Body
		cuts := someCuts(len(wire), seed)
		for _, framing := range []Framing{NoBody, ByLength, UntilClose, Chunked} {
			length := seed % 64
			whole, cut := takeBody(&b, framing, length, wire), takeBody(&c, framing, length, wire, cuts...)
			if whole != cut {
				t.Errorf("%s %d %q cut at %v:\n%+v\nwhole:\n%+v", framing, length, wire, cuts, cut, whole)
			}
			if !whole.done && whole.err == nil && whole.used != len(wire) || (whole.done != b.Done()) {
				t.Errorf("%s %d %q: %+v, done: %v", framing, length, wire, whole, b.Done())
			}
		}
		compareChunks(t, wire)
		roundTrip(t, []byte(wire), cuts)
	})
}

// roundTrip writes data in chunks that end where cuts say, and reads it back.
func roundTrip(t *testing.T, data []byte, cuts []int) {
	var wire []byte
	from := 0
	for _, at := range append(cuts, len(data)) {
		wire = appendChunk(wire, data[from:at])
		from = at
	}
	wire = AppendLastChunk(wire, []Field{{Name: []byte("X"), Value: []byte("y")}})
	var b Body
	got := takeBody(&b, Chunked, 0, string(wire))
	if got.err != nil || !got.done || !bytes.Equal([]byte(got.payload), data) || got.trailers != "0\r\nX: y\r\n\r\n" || got.used != len(wire) {
		t.Errorf("%q read back from %q: %+v", data, wire, got)
	}
}
