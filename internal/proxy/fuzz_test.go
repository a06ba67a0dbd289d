package proxy

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/http1"
	"lbctl/internal/lb"
)

// lines are what hostile peers put together, by index.
var lines = []string{
	"GET / HTTP/1.1\r\nHost: x\r\n", "HEAD /h HTTP/1.1\r\nHost: x\r\n", "POST /p HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.0\r\n",
	"Content-Length: 3\r\n", "Content-Length: 70000\r\n", "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n",
	"Connection: close\r\n", "Connection: upgrade\r\nUpgrade: x\r\n", "X: y\r\n", " folded\r\n", "\r\n", "\n",
	"abc", "3\r\nabc\r\n", "0\r\n\r\n", "0\r\nT: u\r\n\r\n", "zz\r\n",
	"HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n", "HTTP/1.1 100 Continue\r\n", "HTTP/1.1 101 Switching Protocols\r\n", "HTTP/1.1 204 No Content\r\n", "HTTP/1.1 304 Not Modified\r\n",
	"HTTP/9.9 999 What\r\n", "\x00\x01", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n",
	"GET /old/%61//b?c HTTP/1.1\r\nHost: y\r\n", "PUT /api/x HTTP/1.1\r\nHost: y\r\n", "GET /%2e%2e/ HTTP/1.1\r\nHost: y\r\n", "OPTIONS * HTTP/1.1\r\nHost: y\r\n",
	"POST /made HTTP/1.1\r\nHost: y\r\n", "Cookie: lb=x\r\n",
}

// play has hostile peers act as the script says: two bytes an act, what and how.
func (th *theatre) play(script []byte) {
	big := bytes.Repeat([]byte("x"), 5000)
	for ; len(script) >= 2; script = script[2:] {
		what, how := script[0], script[1]
		if len(th.clients) == 0 || what == 0 && len(th.clients) < 4 {
			th.accept()
		}
		k := th.clients[int(how>>6)%len(th.clients)]
		var s *actor
		if len(th.dialled) > 0 {
			s = th.dialled[len(th.dialled)-1-int(how>>6)%len(th.dialled)]
		}
		peer := k
		if what&1 == 1 && s != nil {
			peer = s
		}
		th.act(peer, what>>1, how&0x3f, big)
		for _, k := range th.clients {
			if k.final && !k.shut && k.ended == "" {
				th.Fatalf("%s: the last is written, and the end does not follow", k.name)
			}
		}
	}
}

func (th *theatre) act(a *actor, what, how byte, big []byte) {
	if a.ended != "" || a.backend != nil && a.backend.x == nil && a.deadline == 0 {
		return
	}
	connecting := a.backend != nil && !a.connected
	switch {
	case connecting && what%4 != 0:
		a.connected = true
		a.backend.Connected()
	case what == 99:
		th.passes(time.Duration(how) * time.Second / 20)
	case what == 100:
		a.takes(int(how) * 1000)
	case what == 101:
		a.expire()
	case what == 102:
		a.gone()
	case connecting || a.paused || a.over:
		return
	case what == 103:
		a.over = true
		a.eof()
	case what == 104:
		a.says(string(big), int(how)*100)
	default:
		a.says(lines[int(what)%len(lines)], int(how))
	}
}

func (a *actor) expire() {
	if a.deadline == 0 {
		return
	}
	a.deadline = 0
	if a.client != nil {
		a.client.Expired()
	} else {
		a.backend.Expired()
	}
}

func (a *actor) gone() {
	a.socket.lost = true
	if a.client != nil {
		a.client.Closed(errReset)
	} else {
		a.backend.Closed(errReset)
	}
	a.ended = "reset"
}

func (a *actor) eof() {
	if a.client != nil {
		a.client.EOF()
	} else {
		a.backend.EOF()
	}
}

// hostile makes a service that keeps few connections.
func hostile(v *lb.Service) { v.HTTP.IdleConns = 1 }

// routed is a service that has everything, and another one that it leads to.
func routed(th *theatre) (front, api lb.Service) {
	front, api = th.conf("web", 1, 2), th.conf("api", 2)
	at := func(p string) lb.PathMatch { return lb.PathMatch{Kind: lb.PathPrefix, Value: p} }
	front.Routes = []lb.Route{
		{Path: at("/old"), Redirect: lb.Redirect{Status: 301, To: "https://{host}{path}{query}"}, Rewrite: lb.Rewrite{Regexp: "^/old(.*)", To: "$1"}},
		{Path: at("/made"), Respond: lb.Respond{Status: 200, Body: "made"}},
		{Path: at("/api"), Service: "api", Rewrite: lb.Rewrite{Prefix: "/"}, Response: lb.HeaderEdits{Set: []lb.Header{{Name: "X", Value: "z"}}}},
	}
	stickyService(&front)
	front.HTTP.MaxBody, front.HTTP.BufferRequest, front.HTTP.RequestTimeout = 60_000, 20_000, 10*time.Second
	api.HTTP.Forwarding = lb.Forwarding{BackendHost: true, RequestID: true, Forwarded: lb.FieldReplace}
	full(&api)
	return front, api
}

// check fails the test unless what clients got is a sequence of answers, of which
// the last may be cut off, and all that is open can still end.
func (th *theatre) check() {
	for _, k := range th.clients {
		th.checkAnswers(k.out)
	}
	for _, k := range th.clients {
		if k.ended == "" && k.deadline == 0 && !th.waited(k) {
			th.Fatalf("%s: nobody's deadline ends it", k.name)
		}
	}
	th.core.Cut(&th.front)
	for _, k := range th.clients {
		if k.ended == "" {
			th.Fatalf("%s: still open", k.name)
		}
	}
	th.passes(queuePoll) // the last tick
	th.idle()
	for _, s := range th.dialled {
		if s.ended == "" && s.deadline == 0 {
			th.Fatalf("%s: kept for ever", s.name)
		}
	}
}

// waited reports whether a backend of the client's has a deadline.
func (th *theatre) waited(k *actor) bool {
	if x := k.client.x; x != nil && (x.queued != 0 || x.timer != nil) && len(th.timers) > 0 {
		return true
	}
	if k.client.x == nil || k.client.x.backend == nil {
		return false
	}
	for _, s := range th.dialled {
		if s.backend == k.client.x.backend {
			return s.deadline != 0
		}
	}
	return false
}

func (th *theatre) checkAnswers(out []byte) {
	guessed := false
	var p http1.Parser
	var r http1.Response
	for len(out) > 0 {
		n, err := p.Response(out, http1.Other, &r)
		switch {
		case err != nil && guessed: // a body that looked like a head
			return
		case err != nil:
			th.Fatalf("a client got %q: %v", out, err)
		}
		if n == 0 || r.Status == 101 || r.Body == http1.NoBody && r.Status != 204 && r.Status >= 200 && r.Status != 304 {
			return
		}
		// Whether this answers a HEAD is not known here: what looks like a head is one.
		out = out[n:]
		if r.Body == http1.UntilClose {
			return
		}
		if guessed = bytes.HasPrefix(out, []byte("HTTP/1.")); guessed {
			continue
		}
		var b http1.Body
		b.Start(r.Body, r.Length)
		for len(out) > 0 && !b.Done() {
			_, used, _, err := b.Next(out)
			if err != nil {
				th.Fatalf("a client got a body of %q: %v", out, err)
			}
			out = out[used:]
		}
	}
}

// FuzzHostilePeers has clients and backends say and do what a script says. Nothing
// panics, nothing is done to a connection that has ended, no answer is malformed,
// memory is bounded, nobody waits for ever, and the accounts are even in the end.
func FuzzHostilePeers(f *testing.F) {
	f.Add([]byte{0, 0, 24, 0, 3, 0, 39, 0, 9, 0, 25, 0, 29, 0})
	f.Add([]byte{0, 1, 24, 2, 3, 0, 39, 1, 25, 0, 29, 3, 208, 60, 207, 0})
	f.Add([]byte{4, 0, 12, 0, 24, 0, 3, 0, 30, 0, 32, 0, 39, 0, 13, 0, 25, 0, 31, 0, 33, 0})
	f.Add([]byte("\x060\x18070a0\x1901010"))
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 1000 {
			return
		}
		th := newTheatre(t, 2, hostile)
		if len(script) > 1 && script[1]&0x80 != 0 {
			th.serve(routed(th))
		}
		if len(script) > 0 && script[0]&0x80 != 0 {
			th.room = int(script[0]&0x7f) * 1000
			th.stingy = uint32(script[0])
		}
		var log tally
		th.service.Log = &log
		th.play(script)
		for _, k := range th.clients {
			if x := k.client.x; x != nil && cap(x.out)+cap(x.in)+cap(k.client.in) > 1<<20 {
				t.Fatalf("an exchange holds %d bytes", cap(x.out)+cap(x.in)+cap(k.client.in))
			}
		}
		th.check()
		if requests, d := th.count().Requests, th.ledger.Details(th.cells[ServiceKey("web")]); log.records != requests || sum(d.Results) != requests {
			t.Fatalf("%d records and %v for %d requests", log.records, d.Results, requests)
		}
	})
}

func sum(counts map[int]uint64) (sum uint64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// tally counts records, each of which must make sense.
type tally struct{ records uint64 }

// Log implements Log.
func (l *tally) Log(r *accesslog.Record) {
	l.records++
	switch {
	case r.Status < 100 || r.Whole < 0 || r.Head > r.Whole || r.Queue > r.Whole,
		(r.Backend == "") != (r.Attempts == 0), (r.Why == accesslog.NoBackend) != (r.Attempts == 0),
		r.Method == nil && r.End != accesslog.BadRequest && r.End != accesslog.ClientTimeout,
		r.BodyOut > 1<<40 || r.HeadIn == 0:
		panic(fmt.Sprintf("%+v", r))
	}
}
