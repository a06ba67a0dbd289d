package proxy

import (
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// full has room for one request at each backend, and for two that wait.
func full(v *lb.Service) {
	for i := range v.Backends {
		v.Backends[i].MaxConn = 1
	}
	v.HTTP.Queue = lb.Queue{Length: 2, Timeout: time.Second}
}

// ask has a new client send a request.
func (th *theatre) ask(request string) *actor {
	k := th.accept()
	k.says(request, 0)
	return k
}

func TestRequestsWaitForABackendInTurn(t *testing.T) {
	th := newTheatre(t, 1, full)
	first, second, third, fourth := th.ask(get), th.ask(get), th.ask(get), th.ask(get)
	if out := fourth.took(); status(out) != "503" || !strings.Contains(out, "the queue of service web is full") {
		t.Errorf("one too many: %q", out)
	}
	if n := th.count().Queued; n != 2 {
		t.Errorf("%d wait", n)
	}
	s := th.connected()
	s.says(hello, 0)
	if th.serving(second) != s || th.serving(third) != nil || status(first.took()) != "200" {
		t.Fatal("the second is not at the backend, over the connection that was kept")
	}
	fifth := th.ask(get)
	s.says(hello, 0)
	if th.serving(third) != s {
		t.Error("the third is not next")
	}
	th.passes(999 * time.Millisecond)
	if len(fifth.out) > 0 {
		t.Errorf("too early: %q", fifth.out)
	}
	th.passes(20 * time.Millisecond)
	if out := fifth.took(); status(out) != "503" || !strings.Contains(out, "was free in time") {
		t.Errorf("%q", out)
	}
	s.says(hello, 0)
	if got := th.count(); got.Queued != 0 || got.Errors != 2 {
		t.Errorf("%+v", got)
	}
	th.passes(time.Second)
	th.idle()
}

func TestWhoWaitsMayGo(t *testing.T) {
	th := newTheatre(t, 1, full)
	th.ask(get)
	second, third := th.ask(get), th.ask("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
	second.eof()
	if second.ended != "closed" || th.count().Queued != 1 {
		t.Errorf("%q, %d wait", second.ended, th.count().Queued)
	}
	third.says("b", 0) // more of a body comes in the meantime
	s := th.connected()
	s.took()
	s.says(hello, 0)
	if out := s.took(); bodyOf(out) != "ab" {
		t.Errorf("the backend got %q", out)
	}
	third.says("c", 0)
	s.says(hello, 0)
	if status(third.took()) != "200" {
		t.Error("the third got no answer")
	}
	th.passes(time.Second)
	th.idle()
}

func TestWhoWaitsInLineIsNotSlow(t *testing.T) {
	th := newTheatre(t, 1, full, func(v *lb.Service) { v.HTTP.Queue.Timeout, v.HTTP.RequestTimeout = 10*time.Second, 5*time.Second })
	elsewhere := th.service.Members[0].Endpoint.Account
	elsewhere.Begin() // by another process
	first := th.ask("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	second := th.ask("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
	second.says("b", 0)
	if first.deadline != 0 || second.deadline != 0 {
		t.Errorf("who waits is to send more of its body within %v, %v", first.deadline, second.deadline)
	}
	th.passes(5020 * time.Millisecond)
	if one, other := first.took(), second.took(); status(one) != "504" || status(other) != "504" {
		t.Errorf("who has waited for all of its time got %q, %q", one, other)
	}
	third := th.ask("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
	elsewhere.End()
	th.passes(4980 * time.Millisecond)
	s := th.serving(third)
	if s == nil || third.deadline != th.service.HTTP.ClientBodyTimeout || len(third.out) > 0 {
		t.Fatalf("who is served may take %v, and got %q", third.deadline, third.out)
	}
	th.passes(40 * time.Millisecond)
	if out := third.took(); status(out) != "408" || s.ended != "closed" {
		t.Errorf("who was served and has sent no body got %q", out)
	}
	th.passes(time.Second)
	th.idle()
}

func TestWhoStillSendsIsToldWhenItsTurnDoesNotCome(t *testing.T) {
	th := newTheatre(t, 1, full)
	th.ask(get)
	k := th.ask("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
	th.passes(1020 * time.Millisecond)
	if out := k.took(); status(out) != "503" || !strings.Contains(out, "was free in time") {
		t.Errorf("%q", out)
	}
	big := th.ask("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 100_000))
	if !big.paused || big.deadline != 0 {
		t.Errorf("who has sent what is kept of a body: paused %v, deadline %v", big.paused, big.deadline)
	}
	s := th.connected()
	s.says(hello, 0)
	if th.serving(big) != s || big.paused || big.deadline != th.service.HTTP.ClientBodyTimeout {
		t.Errorf("who is served: paused %v, deadline %v", big.paused, big.deadline)
	}
	big.gone()
	th.passes(time.Second)
	th.idle()
}

func TestABackendThatOthersFreedIsFound(t *testing.T) {
	th := newTheatre(t, 1, full)
	elsewhere := th.service.Members[0].Endpoint.Account
	elsewhere.Begin() // by another process
	k := th.ask(get)
	if th.serving(k) != nil {
		t.Fatal("it does not wait")
	}
	th.passes(500 * time.Millisecond)
	elsewhere.End()
	th.passes(20 * time.Millisecond)
	if th.serving(k) == nil {
		t.Error("it waits still")
	}
	waits := th.ask(get)
	conf := th.conf("web", 1)
	conf.Backends = append(conf.Backends, conf.Backends[0])
	conf.Backends[1].ID, conf.Backends[1].Name = 2, "s2"
	th.serve(conf)
	if th.serving(waits) == nil {
		t.Error("it waits although there is a new backend")
	}
	k.gone()
	waits.gone()
	th.passes(time.Second)
	th.idle()
}

func TestNobodyWaitsWhereNoBackendCanBecomeFree(t *testing.T) {
	th := newTheatre(t, 1, full, func(v *lb.Service) { v.Backends[0].Health = lb.Down })
	if out := th.ask(get).took(); status(out) != "503" || !strings.Contains(out, "is eligible") {
		t.Errorf("%q", out)
	}
	th = newTheatre(t, 1, full, func(v *lb.Service) { v.HTTP.Queue.Length = -1 })
	th.ask(get)
	if out := th.ask(get).took(); status(out) != "503" {
		t.Errorf("%q", out)
	}
}
