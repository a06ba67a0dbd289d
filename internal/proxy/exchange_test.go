package proxy

import (
	"strings"
	"syscall"
	"testing"

	"lbctl/internal/lb"
)

const (
	get   = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
	hello = "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 5\r\n\r\nhello"
)

func TestARequestAndItsAnswerPassHoweverTheyAreCut(t *testing.T) {
	const (
		request = "POST /p?q HTTP/1.1\r\nHost: x\r\nA: b\r\nContent-Length: 3\r\n\r\nabc"
		want    = "POST /p?q HTTP/1.1\r\nHost: x\r\nA: b\r\nX-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: x\r\n" +
			"Via: 1.1 lbctl\r\nContent-Length: 3\r\n\r\nabc"
		answer = "HTTP/1.1 200 Fine\r\nDate: d\r\nC: d\r\nContent-Length: 5\r\n\r\nhello"
		got    = "HTTP/1.1 200 Fine\r\nDate: d\r\nC: d\r\nVia: 1.1 lbctl\r\nContent-Length: 5\r\n\r\nhello"
	)
	for n := range len(request) + 1 {
		th := newTheatre(t, 1)
		c := th.accept()
		c.says(request, n)
		if len(th.dialled) == 0 {
			t.Fatalf("pieces of %d: no backend; the client got %q", n, c.took())
		}
		s := th.connected()
		if out := s.took(); out != want {
			t.Fatalf("pieces of %d: the backend got %q, want %q", n, out, want)
		}
		s.says(answer, n)
		if out := c.took(); out != got {
			t.Fatalf("pieces of %d: the client got %q, want %q", n, out, got)
		}
		th.idle()
		c.says(get, 0) // over the connection that was kept
		if len(th.dialled) != 1 || !strings.HasPrefix(s.took(), "GET /a ") {
			t.Fatalf("pieces of %d: the connection was not kept", n)
		}
	}
}

func TestRequestsInOneWriteAreAnsweredInTurn(t *testing.T) {
	th := newTheatre(t, 1)
	c := th.accept()
	c.says(get+strings.Replace(get, "/a", "/b", 1)+"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 0)
	s := th.connected()
	for _, path := range []string{"/a", "/b", "/c"} {
		out := s.took()
		if strings.Count(out, "HTTP/1.1\r\n") != 1 || !strings.Contains(out, " "+path+" ") {
			t.Fatalf("the backend got %q, want one request of %s", out, path)
		}
		if path == "/c" && !strings.HasSuffix(out, "\r\n\r\n3\r\nabc\r\n0\r\n\r\n") {
			t.Errorf("body: %q", out)
		}
		s.says(hello, 0)
		if out := c.took(); bodyOf(out) != "hello" {
			t.Errorf("%s: the client got %q", path, out)
		}
	}
	if c.paused {
		t.Error("the client is still paused")
	}
	th.idle()
}

func TestBodiesOfEveryFraming(t *testing.T) {
	for _, c := range []struct{ name, version, method, answer, want, ended string }{
		{"length", "1.1", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", ""},
		{"empty", "1.1", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", ""},
		{"chunks", "1.1", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\no\r\n01\r\nk\r\n0\r\nT: u\r\n\r\n", "1\r\no\r\n1\r\nk\r\n0\r\nT: u\r\n\r\n", ""},
		{"chunks to an old client", "1.0", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", "ok", "drained"},
		{"until the end", "1.1", "GET", "HTTP/1.0 200 OK\r\n\r\nok", "2\r\nok\r\n0\r\n\r\n", ""},
		{"until the end, to an old client", "1.0", "GET", "HTTP/1.0 200 OK\r\n\r\nok", "ok", "drained"},
		{"HEAD", "1.1", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "", ""},
		{"204", "1.1", "GET", "HTTP/1.1 204 No Content\r\n\r\n", "", ""},
		{"304", "1.1", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			th := newTheatre(t, 1)
			k := th.accept()
			k.says(c.method+" / HTTP/"+c.version+"\r\nHost: x\r\n\r\n", 0)
			s := th.connected()
			s.says(c.answer, 0)
			if s.ended == "" {
				s.backend.EOF()
			}
			if out := k.took(); bodyOf(out) != c.want || k.ended != c.ended {
				t.Errorf("the client got %q, then %q", out, k.ended)
			}
			th.idle()
		})
	}
}

func TestWhatABackendsEndMeans(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
	for _, c := range []struct {
		name, request string
		act           func(*theatre, *actor)
		status        string // empty: it goes to another backend
	}{
		{"refused", post, func(_ *theatre, s *actor) { s.backend.Closed(syscall.ECONNREFUSED) }, ""},
		{"no SYN-ACK", post, func(_ *theatre, s *actor) { s.backend.Closed(syscall.ETIMEDOUT) }, ""},
		{"too slow to connect", post, func(_ *theatre, s *actor) { s.backend.Expired() }, ""},
		{"reset, GET", get, func(th *theatre, s *actor) { th.connected().backend.Closed(errReset) }, ""},
		{"vanished, GET", get, func(th *theatre, s *actor) { th.connected().backend.Closed(syscall.ETIMEDOUT) }, ""},
		{"closed, GET", get, func(th *theatre, s *actor) { th.connected().backend.EOF() }, ""},
		{"half a head, GET", get, func(th *theatre, s *actor) { th.connected(); s.says("HTTP/1.1 2", 0); s.backend.EOF() }, ""},
		{"reset, POST", post, func(th *theatre, s *actor) { th.connected().backend.Closed(errReset) }, "502"},
		{"vanished, POST", post, func(th *theatre, s *actor) { th.connected().backend.Closed(syscall.ETIMEDOUT) }, "502"},
		{"too slow to answer", get, func(th *theatre, s *actor) { th.connected().backend.Expired() }, "504"},
		{"garbage", get, func(th *theatre, s *actor) { th.connected(); s.says("what?\r\n\r\n", 0) }, "502"},
	} {
		t.Run(c.name, func(t *testing.T) {
			th := newTheatre(t, 2)
			k := th.accept()
			k.says(c.request, 0)
			c.act(th, th.last())
			if c.status == "" {
				if len(th.dialled) != 2 || th.dialled[0].addr == th.dialled[1].addr {
					t.Fatalf("no other backend was tried; the client got %q", k.took())
				}
				s := th.connected()
				if !strings.HasPrefix(s.took(), c.request[:4]) {
					t.Error("the other backend got no request")
				}
				s.says(hello, 0)
				c.status = "200"
			}
			if out := k.took(); status(out) != c.status {
				t.Errorf("the client got %q, want %s", out, c.status)
			}
			th.idle()
		})
	}
}

func TestAConnectionThatWasKeptMayBeStale(t *testing.T) {
	th := newTheatre(t, 1)
	k := th.accept()
	k.says(get, 0)
	th.connected().says(hello, 0)
	k.took()
	k.says(get, 0)
	th.last().backend.EOF() // it closed the connection as idle just now
	if len(th.dialled) != 2 {
		t.Fatalf("%d connections were made, want a second one; the client got %q", len(th.dialled), k.took())
	}
	th.connected().says(hello, 0)
	if out := k.took(); status(out) != "200" {
		t.Errorf("the client got %q", out)
	}
	th.stale = true // found out before a request is sent that must not go twice
	k.says("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 0)
	if len(th.dialled) != 3 || th.dialled[1].ended == "" {
		t.Errorf("a POST went over a connection that had ended")
	}
	th.connected().says(hello, 0)
	if r := th.count().Retries; r != 0 || status(k.took()) != "200" {
		t.Errorf("%d retries", r)
	}
	th.idle()
}

func TestAConnectionIsKeptOnlyIfNothingIsLeftOnIt(t *testing.T) {
	for name, answer := range map[string]string{
		"excess":        hello + "x",
		"told to close": "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.0":      "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
	} {
		th := newTheatre(t, 1)
		k := th.accept()
		k.says(get, 0)
		s := th.connected()
		s.says(answer, 0)
		if s.ended != "closed" || status(k.took()) != "200" {
			t.Errorf("%s: kept", name)
		}
	}
	th := newTheatre(t, 1)
	k := th.accept()
	k.says(get, 0)
	s := th.connected()
	s.says(hello, 0)
	s.says("HTTP/1.1 200 OK\r\n", 0) // nobody asked
	if s.ended != "closed" {
		t.Error("a connection that speaks unasked was kept")
	}
}

func TestInterimAnswersPassToWhoReadsThem(t *testing.T) {
	for version, want := range map[string]string{"1.1": "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n", "1.0": ""} {
		th := newTheatre(t, 1)
		k := th.accept()
		k.says("POST / HTTP/"+version+"\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", 0)
		s := th.connected()
		if !strings.Contains(s.took(), "Expect: 100-continue\r\n") {
			t.Error("the backend was not told of the expectation")
		}
		s.says("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n", 3)
		if out := k.took(); out != want {
			t.Errorf("%s: the client got %q, want %q", version, out, want)
		}
		k.says("x", 0)
		s.says(hello, 0)
		if out := k.took(); s.took() != "x" || status(out) != "200" {
			t.Errorf("%s: the client got %q", version, out)
		}
		th.idle()
	}
}

func TestAnUpgradeIsATunnel(t *testing.T) {
	const ask = "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
	th := newTheatre(t, 1)
	k := th.accept()
	k.says(ask, 0)
	s := th.connected()
	if out := s.took(); !strings.Contains(out, "Connection: upgrade\r\nUpgrade: websocket\r\n") {
		t.Errorf("the backend got %q", out)
	}
	s.says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi", 0)
	if out := k.took(); bodyOf(out) != "hi" || !strings.Contains(out, "Connection: upgrade\r\nUpgrade: websocket\r\n") {
		t.Errorf("the client got %q", out)
	}
	k.says("\x00ping", 2)
	s.says("\x00pong", 2)
	if a, b := s.took(), k.took(); a != "\x00ping" || b != "\x00pong" {
		t.Errorf("the tunnel carried %q and %q", a, b)
	}
	k.client.EOF()
	if !s.shut || s.ended != "" {
		t.Error("the end of one direction did not pass, or ended the other")
	}
	s.says("bye", 0)
	s.backend.EOF()
	if out := k.took(); out != "bye" || k.ended != "drained" || s.ended != "drained" {
		t.Errorf("%q; client %q, backend %q", out, k.ended, s.ended)
	}
	th.idle()

	th = newTheatre(t, 1)
	k = th.accept()
	k.says(get, 0)
	th.connected().says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", 0)
	if out := k.took(); status(out) != "502" {
		t.Errorf("unasked: the client got %q", out)
	}
	th.idle()
}

func TestASlowPeerHoldsTheOtherBack(t *testing.T) {
	big := strings.Repeat("x", 100<<10)
	th := newTheatre(t, 1)
	th.room = 0
	k := th.accept()
	k.says("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"+big, 0)
	if !k.paused {
		t.Error("a client sends on while its backend is not connected")
	}
	s := th.connected()
	s.takes(1000)
	if !k.paused {
		t.Error("a client sends on while its backend takes nothing")
	}
	s.takes(1 << 20)
	if k.paused {
		t.Error("the client waits for a backend that has taken everything")
	}
	k.says(strings.Repeat("x", 300000-len(big)), 1000)
	s.says("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n"+big, 0)
	if !s.paused || s.deadline != 0 || k.deadline == 0 {
		t.Error("a backend sends on while its client takes nothing")
	}
	k.takes(1 << 20)
	if s.paused || s.deadline == 0 {
		t.Error("the backend waits for a client that has taken everything")
	}
	s.says(strings.Repeat("x", 200000-len(big)), 0)
	if s.ended != "" {
		t.Error("the backend is held by a client that has only to take what is here")
	}
	th.idle()
}

func TestWhoGoesTakesTheOtherAlong(t *testing.T) {
	for name, leave := range map[string]func(*actor){
		"EOF":   func(k *actor) { k.client.EOF() },
		"reset": func(k *actor) { k.gone() },
	} {
		for _, answer := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"} {
			th := newTheatre(t, 2)
			k := th.accept()
			k.says(get, 0)
			s := th.connected()
			s.says(answer, 0)
			leave(k)
			if s.ended == "" || len(th.dialled) != 1 || th.count().Errors != 0 || th.core.Clients() != 0 {
				t.Errorf("%s after %q: the backend goes on, or is blamed", name, answer)
			}
			th.idle()
		}
	}
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf":               "drained",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf": "drained",
	} {
		th := newTheatre(t, 1)
		k := th.accept()
		k.says(get, 0)
		s := th.connected()
		s.says(answer, 0)
		s.backend.EOF()
		if k.ended != want || strings.HasSuffix(k.took(), "0\r\n\r\n") || th.count().Errors != 1 {
			t.Errorf("%q: the client's connection: %q", answer, k.ended)
		}
		th.idle()
	}
}

func TestAnAnswerBeforeTheRequestIsWholeIsTheLast(t *testing.T) {
	th := newTheatre(t, 1)
	k := th.accept()
	k.says("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc", 0)
	s := th.connected()
	s.says("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n", 0)
	if out := k.took(); status(out) != "413" || !strings.Contains(out, "Connection: close\r\n") || !k.shut || k.ended != "" || s.ended == "" {
		t.Errorf("%q; %+v", out, k)
	}
	k.says("the rest, which nobody reads", 0)
	k.client.EOF()
	if k.ended != "drained" {
		t.Errorf("the connection lingers: %q", k.ended)
	}
	th.idle()
}

func TestTimeouts(t *testing.T) {
	th := newTheatre(t, 1)
	k := th.accept()
	if k.deadline != th.service.HTTP.ClientHeadTimeout {
		t.Errorf("a new connection has %v", k.deadline)
	}
	k.says("GET / HTTP", 0)
	k.client.Expired()
	if out := k.took(); status(out) != "408" {
		t.Errorf("half a head: %q", out)
	}
	k = th.accept()
	k.says("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc", 0)
	if k.deadline != th.service.HTTP.ClientIdleTimeout {
		t.Errorf("a body has %v", k.deadline)
	}
	th.connected()
	k.client.Expired()
	if out := k.took(); status(out) != "408" || th.last().ended == "" {
		t.Errorf("half a body: %q", out)
	}
	k = th.accept()
	k.says(get, 0)
	s := th.last()
	if s.deadline != th.service.HTTP.ConnectTimeout || k.deadline != 0 {
		t.Errorf("connecting: %v and %v", s.deadline, k.deadline)
	}
	th.connected()
	if s.deadline != th.service.HTTP.BackendHeadTimeout {
		t.Errorf("waiting for the head: %v", s.deadline)
	}
	s.says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", 0)
	if s.deadline != th.service.HTTP.BackendIdleTimeout {
		t.Errorf("waiting for the body: %v", s.deadline)
	}
	s.backend.Expired()
	if k.ended == "" || s.ended == "" {
		t.Error("a body that stalls holds its client")
	}
	k = th.accept()
	k.says(get, 0)
	th.connected().says(hello, 0)
	if k.deadline != th.service.HTTP.ClientIdleTimeout || th.last().deadline != th.service.HTTP.IdleConnTimeout {
		t.Errorf("between requests: %v and %v", k.deadline, th.last().deadline)
	}
	k.client.Expired()
	th.last().backend.Expired()
	if k.ended == "" || th.last().ended == "" {
		t.Error("idle connections are kept for ever")
	}
	th.idle()
}

func TestADisabledBackendsRequestGoesElsewhere(t *testing.T) {
	th := newTheatre(t, 2)
	k := th.accept()
	k.says(get, 0)
	th.connected()
	v := th.service.Service
	v.Backends = append([]lb.Backend(nil), v.Backends...)
	for i := range v.Backends {
		if v.Backends[i].Addr == th.dialled[0].addr {
			v.Backends[i].Admin = lb.Disabled
		}
	}
	th.serve(v)
	if len(th.dialled) != 2 || th.dialled[0].ended != "aborted" {
		t.Fatal("the request stays with a disabled backend")
	}
	th.connected().says(hello, 0)
	if out := k.took(); status(out) != "200" {
		t.Errorf("the client got %q", out)
	}
	th.idle()
}

func TestNothingIsAllocatedForARequestInTheSteadyState(t *testing.T) {
	th := newTheatre(t, 2)
	k := th.accept()
	request, answer := []byte(get), []byte(hello)
	k.client.Data(request)
	th.connected()
	th.last().backend.Data(answer)
	k.client.Data(request)
	th.connected()
	th.last().backend.Data(answer)
	n := testing.AllocsPerRun(100, func() {
		for _, s := range th.dialled {
			s.out, k.out = s.out[:0], k.out[:0]
			k.client.Data(request)
			if s.backend.x == nil {
				s = th.dialled[1]
			}
			s.backend.Data(answer)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAClientThatWasHeldBackIsHeardWhenItsRequestIsOver(t *testing.T) {
	th := newTheatre(t, 1)
	k := th.accept()
	k.says("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"+strings.Repeat("x", 100<<10), 0)
	if !k.paused {
		t.Fatal("the client is not held back")
	}
	s := th.last()
	s.backend.Closed(syscall.ECONNREFUSED)
	if out := k.took(); status(out) != "502" || !k.shut || k.ended != "" {
		t.Errorf("the client got %q", out)
	}
	if k.paused { // what it still sends must be read, or closing resets the answer away
		t.Error("nobody reads what the client still sends")
	}
	th.idle()
}

func TestABackendThatTakesNothingIsNotWaitedForForEver(t *testing.T) {
	th := newTheatre(t, 1)
	th.room = 0
	k := th.accept()
	k.says("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"+strings.Repeat("x", 100<<10), 0)
	s := th.connected() // and never reads
	if s.deadline != th.service.HTTP.BackendHeadTimeout || !k.paused {
		t.Errorf("backend's deadline %v, client's %v, paused %t", s.deadline, k.deadline, k.paused)
	}
	s.says("HTTP/1.1 103 Early Hints\r\n\r\n", 0)
	if s.deadline == 0 {
		t.Error("an interim answer ends the deadline")
	}
	s.takes(1 << 20)
	if k.paused || s.deadline != 0 || k.deadline == 0 {
		t.Errorf("once it reads: backend's deadline %v, client's %v, paused %t", s.deadline, k.deadline, k.paused)
	}
}
