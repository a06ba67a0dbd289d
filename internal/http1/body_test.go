package http1

import (
	"strings"
	"testing"
)

// taken is what became of a body.
type taken struct {
	payload, trailers string
	used              int
	done              bool
	err               *Error
}

// takeBody gives a body the bytes of wire up to each of cuts, then all of it. Each
// piece is overwritten once it is used up.
func takeBody(b *Body, f Framing, length uint64, wire string, cuts ...int) (r taken) {
	b.Start(f, length)
	var payload []byte
	for i := range len(cuts) + 1 {
		end := len(wire)
		if i < len(cuts) {
			end = cuts[i]
		}
		buf := []byte(wire[r.used:max(end, r.used)])
		for in := buf; len(in) > 0 && !r.done && r.err == nil; {
			var piece []byte
			var n int
			piece, n, r.done, r.err = b.Next(in)
			if n == 0 && !r.done && r.err == nil {
				panic("no progress")
			}
			payload = append(payload, piece...)
			in = in[n:]
			r.used += n
		}
		for j := range buf {
			buf[j] = '!'
		}
	}
	if r.err != nil {
		r.used = 0 // means nothing
	}
	if !r.done && r.err == nil && b.Done() {
		r.done = true // there never was anything to come
	}
	r.payload = string(payload)
	if fields := b.Trailers(); len(fields) > 0 {
		r.trailers = string(AppendLastChunk(nil, fields))
	}
	return r
}

func checkBodyCuts(t *testing.T, f Framing, length uint64, wire string) taken {
	t.Helper()
	var b Body
	whole := takeBody(&b, f, length, wire)
	bytewise := make([]int, len(wire))
	for i := range bytewise {
		bytewise[i] = i
	}
	if got := takeBody(&b, f, length, wire, bytewise...); got != whole {
		t.Errorf("%q byte by byte:\n%+v\nwhole:\n%+v", wire, got, whole)
	}
	for at := range wire {
		if got := takeBody(&b, f, length, wire, at); got != whole {
			t.Errorf("%q cut at %d:\n%+v\nwhole:\n%+v", wire, at, got, whole)
			break
		}
	}
	return whole
}

func TestBodiesEndWhereTheirFramingSays(t *testing.T) {
	for _, c := range []struct {
		framing Framing
		length  uint64
		wire    string
		payload string
		rest    string
		done    bool
	}{
		{NoBody, 0, "next", "", "next", true},
		{ByLength, 0, "next", "", "next", true},
		{ByLength, 5, "hellonext", "hello", "next", true},
		{ByLength, 5, "hell", "hell", "", false},
		{UntilClose, 0, "hello", "hello", "", false},
		{Chunked, 0, "0\r\n\r\nnext", "", "next", true},
		{Chunked, 0, "5\r\nhello\r\n0\r\n\r\nnext", "hello", "next", true},
		{Chunked, 0, "2\r\nhe\r\n0000000000000003\r\nllo\r\n000\r\n\r\n", "hello", "", true},
		{Chunked, 0, "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", "", true},
		{Chunked, 0, "5;a;b=c ;\td = \"e;\\\"\\\\ \xe4\" ;x\r\nhello\r\n0;last=1\r\n\r\n", "hello", "", true},
		{Chunked, 0, "5\r\nhel", "hel", "", false},
		{Chunked, 0, "0\r\nX: y\r\nGrpc-Status:\t0 \r\n\r\nnext", "", "next", true},
	} {
		got := checkBodyCuts(t, c.framing, c.length, c.wire)
		if got.err != nil || got.payload != c.payload || c.wire[got.used:] != c.rest || got.done != c.done {
			t.Errorf("%s %d %q: %+v", c.framing, c.length, c.wire, got)
		}
	}
}

func TestBadChunks(t *testing.T) {
	for _, c := range []struct {
		rfc, wire string
		want      *Error
	}{
		{"9112 7.1", "\r\n", ErrChunkSize},
		{"9112 7.1", " 5\r\nhello\r\n", ErrChunkSize},
		{"9112 7.1", "0x5\r\nhello\r\n", ErrChunkSize},
		{"9112 7.1", "-1\r\n", ErrChunkSize},
		{"9112 7.1", "+1\r\n", ErrChunkSize},
		{"9112 7.1", "5g\r\n", ErrChunkSize},
		{"9112 7.1", "8000000000000000\r\n", ErrChunkSize},
		{"9112 7.1", "00000000000000005\r\n", ErrChunkSize},
		{"9112 7.1", "5 \r\nhello\r\n", ErrChunkExt},
		{"9112 7.1", "5 5\r\nhello\r\n", ErrChunkExt},
		{"9112 2.2", "5\nhello\r\n", ErrBareLF},
		{"9112 2.2", "5\rhello\r\n", ErrBareCR},
		{"9112 7.1", "5\r\nhelloo\r\n", ErrChunkEnd},
		{"9112 7.1", "5\r\nhello\n0\r\n\r\n", ErrChunkEnd},
		{"9112 7.1", "5\r\nhello\rX", ErrChunkEnd},
		{"9112 7.1.1", "5;\r\nhello", ErrChunkExt},
		{"9112 7.1.1", "5;a\nhello", ErrChunkExt},
		{"9112 7.1.1", "5;a \r\nhello", ErrChunkExt},
		{"9112 7.1.1", "5;a=\r\nhello", ErrChunkExt},
		{"9112 7.1.1", "5;a=b \r\nhello", ErrChunkExt},
		{"9112 7.1.1", "5;a b\r\nhello", ErrChunkExt},
		{"9112 7.1.1", "5;=b\r\nhello", ErrChunkExt},
		{"9112 7.1.1", "5;a=\"b\r\nhello", ErrChunkExt},
		{"9112 7.1.1", "5;a=\"b\"c\r\nhello", ErrChunkExt},
		{"9112 7.1.1", "5;a=\"\\\r\"\r\nhello", ErrChunkExt},
		{"9112 7.1.1", "5;a\x00\r\nhello", ErrChunkExt},
		{"9112 7.1.1", "5;" + strings.Repeat("a", 256) + "\r\nhello", ErrChunkExts},
		{"9112 7.1.1", strings.Repeat("1;"+strings.Repeat("a", 200)+"\r\nx\r\n", 100), ErrChunkExts},
		{"9112 7.1.2", "0\r\n X: y\r\n\r\n", ErrFold},
		{"9112 7.1.2", "0\r\nX : y\r\n\r\n", ErrNameSpace},
		{"9112 7.1.2", "0\r\nX: y\n\r\n", ErrBareLF},
		{"9112 7.1.2", "0\r\n\n", ErrBareLF},
		{"9112 7.1.2", "0\r\n\rX", ErrBareCR},
		{"9110 6.5.1", "0\r\nContent-Length: 5\r\n\r\n", ErrTrailer},
		{"9110 6.5.1", "0\r\nTransfer-Encoding: chunked\r\n\r\n", ErrTrailer},
		{"9110 6.5.1", "0\r\nHost: h\r\n\r\n", ErrTrailer},
		{"9110 6.5.1", "0\r\nX: y\r\nconnection: close\r\n\r\n", ErrTrailer},
		{"6585 5", "0\r\n" + strings.Repeat("X: y\r\n", 257), ErrFields},
		{"6585 5", "0\r\nX: " + strings.Repeat("y", 65536), ErrHead},
	} {
		var got taken
		if len(c.wire) < 1000 {
			got = checkBodyCuts(t, Chunked, 0, c.wire)
		} else {
			got = takeBody(new(Body), Chunked, 0, c.wire)
		}
		if got.err != c.want || got.done {
			t.Errorf("RFC %s: %.100q: %v, %v, want %v", c.rfc, c.wire, got.done, got.err, c.want)
		}
	}
}

func TestTrailersThatComeTooLateAreDropped(t *testing.T) {
	var b Body
	for range 2 {
		got := takeBody(&b, Chunked, 0, "1\r\nx\r\n0\r\nSet-Cookie: a\r\nETag: b\r\nauthorization: c\r\nX: d\r\n\r\n")
		f := b.Trailers()
		if got.err != nil || len(f) != 2 || f[0].ID != ETag || string(f[0].Value) != "b" || string(f[1].Value) != "d" {
			t.Errorf("%+v", got)
		}
	}
	if got := takeBody(&b, Chunked, 0, "0\r\n\r\n"); got.trailers != "" {
		t.Errorf("an earlier body's trailers: %q", got.trailers)
	}
}

func TestCloseWithinABodyIsAnError(t *testing.T) {
	for _, c := range []struct {
		framing Framing
		length  uint64
		wire    string
		want    *Error
	}{
		{NoBody, 0, "", nil},
		{ByLength, 0, "", nil},
		{ByLength, 2, "a", ErrTruncated},
		{ByLength, 2, "ab", nil},
		{UntilClose, 0, "a", nil},
		{Chunked, 0, "", ErrTruncated},
		{Chunked, 0, "1\r\na\r\n0\r\n", ErrTruncated},
		{Chunked, 0, "1\r\na\r\n0\r\n\r\n", nil},
		{Chunked, 0, "x", ErrChunkSize},
	} {
		var b Body
		takeBody(&b, c.framing, c.length, c.wire)
		if err := b.EOF(); err != c.want {
			t.Errorf("%s %q: %v, want %v", c.framing, c.wire, err, c.want)
		}
		if _, _, done, err := b.Next([]byte("x")); err != c.want || done != (c.want == nil) {
			t.Errorf("%s %q: afterwards %v, %v", c.framing, c.wire, done, err)
		}
	}
}

func TestRemainingIsKnownByLengthOnly(t *testing.T) {
	var b Body
	takeBody(&b, ByLength, 5, "he")
	if n, ok := b.Remaining(); n != 3 || !ok {
		t.Errorf("%d, %v", n, ok)
	}
	takeBody(&b, Chunked, 0, "5\r\nhe")
	if _, ok := b.Remaining(); ok {
		t.Error("known of chunks")
	}
}
