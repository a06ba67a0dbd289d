package proxy

import (
	"strings"
	"testing"
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/lb"
	"lbctl/internal/scoreboard"
)

func TestBodiesAreBounded(t *testing.T) {
	th := newTheatre(t, 1, func(v *lb.Service) { v.HTTP.MaxBody = 5 })
	k := th.accept()
	k.says("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc", 0)
	if out := k.took(); status(out) != "413" || len(th.dialled) != 0 || !k.shut {
		t.Errorf("by length: %q", out)
	}
	k = th.accept()
	k.says("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", 0)
	s := th.connected()
	if !strings.HasSuffix(s.took(), "abcde\r\n") {
		t.Error("what is within the limit does not pass")
	}
	k.says("1\r\nf\r\n0\r\n\r\n", 0)
	if out := k.took(); status(out) != "413" || s.ended != "closed" {
		t.Errorf("chunked: %q, the backend's connection is %q", out, s.ended)
	}
	if got := th.count(); got.Errors != 0 {
		t.Errorf("%+v", got)
	}
	if _, answer := th.sent("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"); status(answer) != "200" {
		t.Errorf("at the limit: %q", answer)
	}
	th.idle()
}

func TestARequestIsGatheredBeforeABackendIsChosen(t *testing.T) {
	big := strings.Repeat("x", 200<<10)
	th := newTheatre(t, 1, func(v *lb.Service) { v.HTTP.BufferRequest = 300 << 10 })
	for _, framing := range []string{"Content-Length: 204800\r\n\r\n" + big, "Transfer-Encoding: chunked\r\n\r\n32000\r\n" + big + "\r\n0\r\n\r\n"} {
		k := th.accept()
		k.says("PUT / HTTP/1.1\r\nHost: x\r\n"+framing[:len(framing)-2], 10_000)
		if k.paused || th.serving(k) != nil {
			t.Fatalf("a backend is chosen at once; paused %v", k.paused)
		}
		k.says(framing[len(framing)-2:], 0)
		s := th.serving(k)
		if s == nil || !strings.HasSuffix(s.took(), framing[len(framing)-1000:]) {
			t.Fatal("the backend did not get it")
		}
		s.says(hello, 0)
	}
	for _, framing := range []string{"Content-Length: 400000\r\n\r\n" + big, "Transfer-Encoding: chunked\r\n\r\n80000\r\n" + big + big[:60<<10]} {
		k := th.accept() // too large for that
		k.says("PUT / HTTP/1.1\r\nHost: x\r\n"+framing[:len(framing)/2], 10_000)
		early := th.serving(k) != nil
		k.says(framing[len(framing)/2:]+big, 10_000)
		if s := th.serving(k); s == nil || early != (framing[0] == 'C') {
			t.Errorf("%s: it does not stream, early %v", line(framing), early)
		}
		k.gone()
	}
	k := th.accept()
	k.says("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", 0)
	if out := k.took(); out != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Errorf("who waits for 100 got %q", out)
	}
	k.says("ab", 0)
	if out := th.serving(k).took(); strings.Contains(out, "Expect") {
		t.Errorf("the backend got %q", out)
	}
	k.gone()
	k = th.accept()
	k.says("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na", 0)
	k.client.Expired()
	if out := k.took(); status(out) != "408" {
		t.Errorf("who is too slow got %q", out)
	}
	th.idle()
}

func TestAnAnswerWaitsForASlowClient(t *testing.T) {
	th := newTheatre(t, 1, func(v *lb.Service) { v.HTTP.ResponseBuffer = 1000; v.HTTP.ClientBodyTimeout = 77 })
	th.room = 0
	k := th.accept()
	k.says(get, 0)
	s := th.connected()
	s.says("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"+strings.Repeat("x", 500), 0)
	if s.paused {
		t.Error("the backend is paused too early")
	}
	s.says(strings.Repeat("x", 500), 0)
	if !s.paused || k.deadline != 77 {
		t.Errorf("paused %v, the client has %s", s.paused, k.deadline)
	}
	k.takes(5000)
	if s.paused {
		t.Error("the backend stays paused")
	}
	k.gone()
	th.idle()
}

func TestARequestHasAnEndInTime(t *testing.T) {
	const post = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na"
	for name, c := range map[string]struct {
		conf   func(*lb.Service) // besides
		act    func(*theatre, *actor)
		status string
		ended  string
		end    accesslog.End
		told   int // complaints
	}{
		"the backend does not answer": {nil, func(th *theatre, k *actor) { k.says(get, 0); th.connected() }, "504", "", accesslog.RequestTimeout, 1},
		"no connection":               {nil, func(_ *theatre, k *actor) { k.says(get, 0) }, "504", "", accesslog.RequestTimeout, 1},
		"the client does not finish":  {nil, func(th *theatre, k *actor) { k.says(post, 0); th.connected() }, "408", "", accesslog.RequestTimeout, 1},
		"it is not gathered": {
			func(v *lb.Service) { v.HTTP.BufferRequest = 1000 },
			func(_ *theatre, k *actor) { k.says(post, 0) }, "408", "", accesslog.RequestTimeout, 1,
		},
		"it stands in line": {
			func(v *lb.Service) { full(v); v.HTTP.Queue.Timeout = time.Minute },
			func(th *theatre, k *actor) {
				for _, m := range th.service.Members { // another process's
					m.Endpoint.Account.Begin()
					defer m.Endpoint.Account.End()
				}
				k.says(get, 0)
			}, "504", "", accesslog.RequestTimeout, 1,
		},
		"the answer does not end": {nil, func(th *theatre, k *actor) {
			k.says(get, 0)
			th.connected().says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nh", 0)
		}, "200", "drained", accesslog.RequestTimeout, 1},
		"a tunnel": {nil, func(th *theatre, k *actor) {
			k.says("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n", 0)
			th.connected().says("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n", 0)
		}, "101", "", accesslog.ClientGone, 0},
		"in time": {nil, func(th *theatre, k *actor) { k.says(get, 0); th.connected().says(hello, 0) }, "200", "", accesslog.Complete, 0},
	} {
		t.Run(name, func(t *testing.T) {
			th, l := recorded(t, 2, func(v *lb.Service) {
				v.HTTP.RequestTimeout = 10 * time.Second
				v.HTTP.Outlier = lb.Outlier{Failures: 1, Base: time.Minute, Max: time.Minute, MaxShare: 100}
				if c.conf != nil {
					c.conf(v)
				}
			})
			k := th.accept()
			c.act(th, k)
			th.passes(9 * time.Second)
			if status(string(k.out)) != c.status && len(k.out) > 0 {
				t.Errorf("after 9 s: %q", k.out)
			}
			th.passes(time.Second)
			if out := k.took(); status(out) != c.status || k.ended != c.ended {
				t.Errorf("%q, then %q", out, k.ended)
			}
			k.gone()
			if r := l.only(t); r.End != c.end || len(l.complaints) != c.told {
				t.Errorf("it ended with %v; complaints %q", r.End, l.complaints)
			}
			timeouts, errors := uint64(0), uint64(0)
			if c.end == accesslog.RequestTimeout {
				timeouts = 1
			}
			if c.status == "504" || c.ended != "" {
				errors = 1
			}
			if d := th.ledger.Details(th.cells[ServiceKey("web")]); d.Events[scoreboard.TimedOut] != timeouts || th.count().Errors != errors {
				t.Errorf("the service: events %v, %d errors", d.Events, th.count().Errors)
			}
			// Whose fault it was nobody knows.
			backend := th.cells[BackendKey("web", 1)]
			if d := th.ledger.Details(backend); d.Events != [scoreboard.NumEvents]uint64{} || th.ledger.Totals(backend).Errors != 0 {
				t.Errorf("the backend: events %v, %d errors", d.Events, th.ledger.Totals(backend).Errors)
			}
			th.idle()
		})
	}
}

func TestHeadsAreBoundedByTheService(t *testing.T) {
	th := newTheatre(t, 1, func(v *lb.Service) { v.HTTP.Limits = lb.Limits{Line: 50, Head: 500, Fields: 3} })
	long := strings.Repeat("x", 500)
	for request, want := range map[string]string{
		"GET /" + long[:50] + " HTTP/1.1\r\nHost: x\r\n\r\n":                 "414",
		"GET / HTTP/1.1\r\nHost: x\r\nA: " + long + "\r\n\r\n":               "431",
		"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n":          "431",
		"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: " + long[:300] + "\r\n\r\n": "200",
	} {
		if _, answer := th.sent(request); status(answer) != want {
			t.Errorf("%.60q: %.60q, want %s", request, answer, want)
		}
	}
	k := th.accept()
	k.says(get, 0)
	th.serving(k).says("HTTP/1.1 200 OK\r\nA: "+long+"\r\n\r\n", 0)
	if out := k.took(); status(out) != "502" {
		t.Errorf("an answer's head: %q", out)
	}
	th.idle()
}
