package traffic

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
	"testing/iotest"
)

// The fuzzers ask net/http for a second opinion: what both accept they must
// delimit alike, or a proxy between two of our ends could be led astray.

func FuzzRequestIsFramedAsByNetHTTP(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Add("POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	f.Add("POST http://x/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	f.Add("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	f.Fuzz(func(t *testing.T, data string) {
		s := stream{from: strings.NewReader(data)}
		head, err := s.head()
		if err != nil {
			return
		}
		ours, err := parseRequest(head)
		if err != nil {
			return
		}
		theirs, err := http.ReadRequest(bufio.NewReader(strings.NewReader(data)))
		if err != nil {
			return
		}
		if string(ours.method) != theirs.Method {
			t.Errorf("method %q, net/http says %q", ours.method, theirs.Method)
		}
		if chunked := len(theirs.TransferEncoding) > 0; ours.chunked != chunked || !chunked && max(ours.length, 0) != theirs.ContentLength {
			t.Errorf("length %d, chunked %v; net/http says %d, %v", ours.length, ours.chunked, theirs.ContentLength, chunked)
		}
	})
}

func FuzzResponseIsFramedAsByNetHTTP(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nX-Server: s1\r\nContent-Length: 3\r\n\r\nabc")
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
	f.Add("HTTP/1.0 204 No Content\r\n\r\n")
	f.Add("HTTP/1.1 200 \r\n\r\nuntil the end")
	f.Fuzz(func(t *testing.T, data string) {
		s := stream{from: strings.NewReader(data)}
		head, err := s.head()
		if err != nil {
			return
		}
		ours, err := parseResponse(head)
		if err != nil || ours.interim() {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(strings.NewReader(data)), nil)
		if err != nil {
			return
		}
		if ours.status != theirs.StatusCode {
			t.Fatalf("status %d, net/http says %d", ours.status, theirs.StatusCode)
		}
		body, theirErr := io.ReadAll(theirs.Body)
		var got bytes.Buffer
		switch {
		case ours.bodyless():
			return
		case ours.untilClose():
			got.Write(s.buffered())
			rest, _ := io.ReadAll(s.from)
			got.Write(rest)
		default:
			err = s.body(ours.framing, func(b []byte) { got.Write(b) })
		}
		if err == nil && theirErr == nil && !bytes.Equal(got.Bytes(), body) {
			t.Errorf("body %q, net/http says %q", got.Bytes(), body)
		}
	})
}

func FuzzChunksReadAlikeInAnyPieces(f *testing.F) {
	f.Add("3\r\nabc\r\n0\r\n\r\n")
	f.Add("a;x=y\r\n0123456789\r\n1\r\nb\r\n0\r\nTrailer: x\r\n\r\n")
	f.Add("ffffffffffffffff\r\n")
	f.Fuzz(func(t *testing.T, data string) {
		read := func(r io.Reader) (string, error) {
			var b bytes.Buffer
			s := stream{from: r}
			err := s.body(framing{length: -1, chunked: true}, func(p []byte) { b.Write(p) })
			return b.String(), err
		}
		whole, err := read(strings.NewReader(data))
		piecewise, err2 := read(iotest.OneByteReader(strings.NewReader(data)))
		if (err == nil) != (err2 == nil) || err == nil && whole != piecewise {
			t.Errorf("whole: %q %v; byte by byte: %q %v", whole, err, piecewise, err2)
		}
		if err != nil {
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(data)))
		if err == nil && string(theirs) != whole {
			t.Errorf("%q, net/http says %q", whole, theirs)
		}
	})
}
