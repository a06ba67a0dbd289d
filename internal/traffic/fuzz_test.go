package traffic

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lbctl/internal/http1"
	"lbctl/internal/loop"
)

// The fuzzers ask net/http for a second opinion: what both accept they must
// delimit alike, or a proxy between two of our ends could be led astray. The
// grammar itself is fuzzed in internal/http1.

func FuzzRequestIsFramedAsByNetHTTP(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Add("POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	f.Add("POST http://x/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /bytes/70000 HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Add("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n\r\nGET /status/204 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	f.Add("PUT /sum HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabcGET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Fuzz(func(t *testing.T, data string) {
		whole := answersTo(t, []byte(data), len(data))
		if cut := answersTo(t, []byte(data), 1); cut != whole {
			t.Errorf("whole it is answered with\n%q, byte by byte with\n%q", whole, cut)
		}
		if got, want := countAnswers(whole), countRequests(data); got != want && want > 0 && !strings.Contains(whole, "Connection: close") {
			t.Errorf("%d answers to what net/http reads as %d requests", got, want)
		}
	})
}

// answersTo returns what a server sends to a client that sends data in pieces of
// a size, as far as it does not have to wait for anything else.
func answersTo(t *testing.T, data []byte, size int) string {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	events, err := loop.New(loop.Options{Kind: loop.Epoll, Buffer: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	l := &serverLoop{name: "s1", body: 10, events: events, clock: newClock(events)}
	l.pace = l.tick
	tcp, err := events.Adopt(fds[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	l.accept(tcp, tcp.Peer())
	for c := l.conns[0]; len(data) > 0 && c.state == open && !tcp.Paused(); {
		n := min(size, len(data))
		c.Data(tcp, data[:n])
		data = data[n:]
	}
	var out []byte
	for buf := make([]byte, 1<<16); ; {
		n, err := unix.Read(fds[1], buf)
		if n <= 0 || err != nil {
			return string(date.ReplaceAll(out, nil))
		}
		out = append(out, buf[:n]...)
	}
}

var date = regexp.MustCompile("Date: [^\r]*\r\n")

func countAnswers(s string) int {
	return strings.Count(s, "X-Server: s1")
}

// countRequests returns how many requests net/http reads, 0 if it complains.
func countRequests(data string) (n int) {
	br := bufio.NewReader(strings.NewReader(data))
	for {
		if _, err := br.Peek(1); err != nil {
			return n
		}
		r, err := http.ReadRequest(br)
		if err != nil {
			return 0
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return 0
		}
		n++
	}
}

func FuzzResponseIsFramedAsByNetHTTP(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nX-Server: s1\r\nContent-Length: 3\r\n\r\nabc")
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
	f.Add("HTTP/1.0 204 No Content\r\n\r\n")
	f.Add("HTTP/1.1 200 \r\n\r\nuntil the end")
	f.Add("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	f.Fuzz(func(t *testing.T, data string) {
		whole := readReply(data, len(data))
		if cut := readReply(data, 1); cut != whole {
			t.Errorf("whole it is %+v, byte by byte %+v", whole, cut)
		}
		if !whole.ok || strings.HasPrefix(data, "HTTP/1.1 1") || strings.HasPrefix(data, "HTTP/1.0 1") {
			return
		}
		br := bufio.NewReader(strings.NewReader(data))
		theirs, err := http.ReadResponse(br, nil)
		if err != nil {
			return
		}
		if whole.status != theirs.StatusCode {
			t.Fatalf("status %d, net/http says %d", whole.status, theirs.StatusCode)
		}
		if whole.status == 204 || whole.status == 304 {
			return
		}
		if _, err := io.Copy(io.Discard, theirs.Body); err != nil {
			return
		}
		rest, _ := io.ReadAll(br)
		if theirs.TransferEncoding == nil && len(rest) != whole.rest {
			t.Errorf("%d bytes follow the answer, net/http says %d", whole.rest, len(rest))
		}
	})
}

// outcome is what a reply came to: whole, with so many bytes behind it.
type outcome struct {
	ok           bool
	status, rest int
	server       string
}

func readReply(data string, size int) outcome {
	var head http1.Response
	r := reply{servers: &tally{by: map[string]*served{}}}
	r.begin()
	for b := []byte(data); len(b) > 0; {
		n := min(size, len(b))
		piece := bytes.Clone(b[:n]) // so that what is held in it by mistake shows
		rest, whole, err := r.read(piece, &head)
		if err != nil {
			return outcome{}
		}
		b = b[n:]
		if whole {
			return outcome{true, r.status, len(b) + len(rest), r.server.name}
		}
		clear(piece)
	}
	if !r.end() {
		return outcome{}
	}
	return outcome{true, r.status, 0, r.server.name}
}
