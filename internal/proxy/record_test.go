package proxy

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/lb"
	"lbctl/internal/scoreboard"
)

// recorder is a Log that keeps records, and Complaints that keeps them.
type recorder struct {
	records    []accesslog.Record
	complaints []string
}

func (l *recorder) Log(r *accesslog.Record) {
	c := *r
	for _, b := range []*[]byte{&c.Line, &c.Method, &c.Target, &c.Host, &c.Referer, &c.Agent} {
		*b = bytes.Clone(*b)
	}
	l.records = append(l.records, c)
}

func (l *recorder) Complain(what accesslog.End, service, backend, reason string) {
	l.complaints = append(l.complaints, fmt.Sprint(what, " ", service, "/", backend))
}

// recorded is a theatre whose service logs to a recorder.
func recorded(t *testing.T, backends int, change ...func(*lb.Service)) (*theatre, *recorder) {
	th := newTheatre(t, backends, change...)
	l := &recorder{}
	th.service.Log = l
	th.core.ComplainTo(l)
	return th, l
}

// only is the record of the one exchange that there was.
func (l *recorder) only(t *testing.T) accesslog.Record {
	t.Helper()
	if len(l.records) != 1 {
		t.Fatalf("%d records", len(l.records))
	}
	r := l.records[0]
	l.records = nil
	return r
}

func (th *theatre) pass(d time.Duration) { th.now += int64(d) }

func TestARecordSaysWhatHappened(t *testing.T) {
	th, l := recorded(t, 2)
	k := th.accept()
	const ask = "POST /p?q HTTP/1.1\r\nHost: h\r\nReferer: r\r\nUser-Agent: u\r\nContent-Length: 3\r\n\r\n"
	k.says(ask+"abc", 0)
	th.pass(2 * time.Millisecond)
	s := th.connected()
	th.pass(3 * time.Millisecond)
	s.says("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 201 Created\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 0)
	th.pass(5 * time.Millisecond)
	s.says("0\r\n\r\n", 0)
	out := k.took()
	body := bodyOf(bodyOf(out))
	got := l.only(t)
	want := accesslog.Record{
		Client: k.client.addr, Method: []byte("POST"), Target: []byte("/p?q"), Minor: 1, Host: []byte("h"), Referer: []byte("r"), Agent: []byte("u"),
		Service: "web", Backend: got.Backend, Address: th.dialled[0].addr, Attempts: 1, Why: accesslog.ByPolicy, Status: 201,
		HeadIn: uint64(len(ask)), BodyIn: 3, HeadOut: uint64(len(out) - len(body)), BodyOut: uint64(len(body)),
		Connect: 2 * time.Millisecond, Head: 5 * time.Millisecond, Whole: 10 * time.Millisecond,
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) || body != "3\r\nabc\r\n0\r\n\r\n" {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	th.idle()

	k.says(get+get, 0)
	th.connected().says(hello, 0)
	s.says(hello, 0)
	again := l.records[1]
	if !again.ClientReused || !again.BackendReused || again.Connect != accesslog.None || string(again.Target) != "/a" || again.Agent == nil || len(again.Agent) != 0 {
		t.Errorf("%+v", again)
	}
}

func TestARecordSaysHowItEnded(t *testing.T) {
	const half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
	const post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"
	for _, c := range []struct {
		name, request, status string
		backends              int
		act                   func(th *theatre, k *actor)
		end                   accesslog.End
		why                   accesslog.Why
		attempts              int
		complaints            int
	}{
		{"complete", get, "200", 1, func(th *theatre, _ *actor) { th.connected().says(hello, 0) }, accesslog.Complete, accesslog.OnlyOne, 1, 0},
		{"retried", get, "200", 2, func(th *theatre, _ *actor) {
			th.last().backend.Closed(syscall.ECONNREFUSED)
			th.connected().says(hello, 0)
		}, accesslog.Complete, accesslog.Retried, 2, 1},
		{"no backend", get, "503", 0, func(*theatre, *actor) {}, accesslog.Unavailable, accesslog.NoBackend, 0, 1},
		{"refused connection", get, "502", 1, func(th *theatre, _ *actor) { th.last().backend.Closed(syscall.ECONNREFUSED) }, accesslog.ConnectFailed, accesslog.OnlyOne, 1, 1},
		{"no connection in time", get, "504", 1, func(th *theatre, _ *actor) { th.last().backend.Expired() }, accesslog.ConnectTimeout, accesslog.OnlyOne, 1, 1},
		{"no head in time", get, "504", 1, func(th *theatre, _ *actor) { th.connected().backend.Expired() }, accesslog.HeadTimeout, accesslog.OnlyOne, 1, 1},
		{"garbage", get, "502", 1, func(th *theatre, _ *actor) { th.connected().says("what?\r\n\r\n", 0) }, accesslog.BackendBroke, accesslog.OnlyOne, 1, 1},
		{"half an answer", get, "200", 1, func(th *theatre, _ *actor) { th.connected().says(half, 0); th.last().backend.EOF() }, accesslog.BackendBroke, accesslog.OnlyOne, 1, 1},
		{"an answer that stops", get, "200", 1, func(th *theatre, _ *actor) { th.connected().says(half, 0); th.last().backend.Expired() }, accesslog.BackendTimeout, accesslog.OnlyOne, 1, 1},
		{"client gone", get, "499", 1, func(th *theatre, k *actor) { th.connected(); k.client.EOF() }, accesslog.ClientGone, accesslog.OnlyOne, 1, 0},
		{"client gone in the middle", get, "200", 1, func(th *theatre, k *actor) { th.connected().says(half, 0); k.client.EOF() }, accesslog.ClientGone, accesslog.OnlyOne, 1, 0},
		{"client too slow", post, "408", 1, func(_ *theatre, k *actor) { k.client.Expired() }, accesslog.ClientTimeout, accesslog.OnlyOne, 1, 1},
		{"malformed body", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "400", 1, func(*theatre, *actor) {}, accesslog.BadRequest, accesslog.NoBackend, 0, 1},
		{"CONNECT", "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", "501", 1, func(*theatre, *actor) {}, accesslog.BadRequest, accesslog.NoBackend, 0, 1},
		{"removed", get, "444", 1, func(th *theatre, _ *actor) { th.connected(); th.core.Cut(&th.front) }, accesslog.Removed, accesslog.OnlyOne, 1, 0},
		{"removed with a body to come", post, "444", 1, func(th *theatre, _ *actor) { th.core.Cut(&th.front) }, accesslog.Removed, accesslog.OnlyOne, 1, 0},
		{"removed in the middle", get, "200", 1, func(th *theatre, _ *actor) { th.connected().says(half, 0); th.core.Cut(&th.front) }, accesslog.Removed, accesslog.OnlyOne, 1, 0},
		{"a tunnel that is removed", "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n", "101", 1, func(th *theatre, _ *actor) {
			th.connected().says("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n", 0)
			th.core.Cut(&th.front)
		}, accesslog.Removed, accesslog.OnlyOne, 1, 0},
		{"no request", "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", "400", 1, func(*theatre, *actor) {}, accesslog.BadRequest, accesslog.NoBackend, 0, 1},
		{"half a head", "GET / HTTP", "408", 1, func(_ *theatre, k *actor) { k.client.Expired() }, accesslog.ClientTimeout, accesslog.NoBackend, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			th, l := recorded(t, c.backends)
			k := th.accept()
			k.says(c.request, 0)
			c.act(th, k)
			r := l.only(t)
			if fmt.Sprint(r.Status) != c.status || r.End != c.end || r.Why != c.why || r.Attempts != c.attempts || len(l.complaints) != c.complaints {
				t.Errorf("%d %v, %v after %d attempts; %q; want %s %v, %v after %d", r.Status, r.End, r.Why, r.Attempts, l.complaints, c.status, c.end, c.why, c.attempts)
			}
			if out := k.took(); out != "" && int(r.HeadOut+r.BodyOut) != len(out) {
				t.Errorf("%d and %d bytes out, want %d", r.HeadOut, r.BodyOut, len(out))
			}
			if r.Method == nil && !strings.HasPrefix(c.request, string(r.Line)) || r.Method == nil && len(r.Line) == 0 {
				t.Errorf("line %q", r.Line)
			}
			d := th.ledger.Details(th.cells[ServiceKey("web")])
			var code int
			_, _ = fmt.Sscan(c.status, &code)
			removed := uint64(0)
			if c.end == accesslog.Removed {
				removed = 1
			}
			if d.Events[scoreboard.Removed] != removed || c.end == accesslog.Removed && d.Events[scoreboard.ClientLeft]+th.count().Errors != 0 {
				t.Errorf("events %v, %d errors", d.Events, th.count().Errors)
			}
			if len(d.Results) != 1 || d.Results[code-100] != 1 || th.count().Requests != 1 {
				t.Errorf("%d requests, results %v", th.count().Requests, d.Results)
			}
			th.idle()
		})
	}
}

func TestLongHeadsAreLoggedWhole(t *testing.T) {
	th, l := recorded(t, 1)
	k := th.accept()
	target := "/" + strings.Repeat("x", 5000)
	k.says("GET "+target+" HTTP/1.0\r\nUser-Agent: "+strings.Repeat("u", 2000)+"\r\n\r\n", 0)
	th.connected().says(hello, 0)
	if r := l.only(t); string(r.Target) != target || len(r.Agent) != 2000 || r.Minor != 0 {
		t.Errorf("target of %d bytes, agent of %d", len(r.Target), len(r.Agent))
	}
}

func TestAChangeOfTheLogLeavesTheChoiceAsItIs(t *testing.T) {
	th := newTheatre(t, 2)
	was := th.service.picker
	v := th.service.Service
	v.HTTP.AccessLog.Path = "log"
	th.serve(v)
	if th.service.picker != was {
		t.Error("round robin began anew")
	}
}

func TestLatenciesAreThoseOfTheDriversClock(t *testing.T) {
	th, _ := recorded(t, 1)
	k := th.accept()
	k.says(get, 0)
	th.pass(time.Millisecond)
	s := th.connected()
	th.pass(time.Millisecond)
	s.says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 0)
	th.pass(8 * time.Millisecond)
	s.says("hello", 0)
	for _, key := range []string{ServiceKey("web"), BackendKey("web", 1)} {
		d := th.ledger.Details(th.cells[key])
		if d.Head.Sum != 2*time.Millisecond || d.Whole.Sum != 10*time.Millisecond || d.Head.Count != 1 || d.Whole.Count != 1 {
			t.Errorf("%q: %+v", key, d)
		}
	}
}

func TestTheLogSaysWhichKeyTheBoundHasMoved(t *testing.T) {
	th, l := recorded(t, 3, func(v *lb.Service) {
		v.Policy, v.HTTP.Hash = lb.KeyHash, lb.HashKey{Source: lb.HashPath, Bound: 100}
	})
	first, second := th.ask(get), th.ask(get) // of one key, and one in flight at each is all that it allows
	home, other := th.serving(first), th.serving(second)
	home.says(hello, 0)
	if r := l.only(t); r.Why != accesslog.ByPolicy {
		t.Errorf("the first: %v", r.Why)
	}
	other.says(hello, 0)
	if r := l.only(t); r.Why != accesslog.Bound || other.addr == home.addr {
		t.Errorf("the second, at the same time: %v", r.Why)
	}
	th.service.Members[home.addr.Addr().As4()[3]-1].Endpoint.Account.Shared().EjectedUntil.Store(th.now + 1)
	th.sent(get)
	if r := l.only(t); r.Why != accesslog.ByPolicy {
		t.Errorf("when its backend is ejected: %v", r.Why)
	}
}

func TestWhatARouteAnswersIsCountedAndLoggedByItsStatus(t *testing.T) {
	th, l := recorded(t, 1, func(v *lb.Service) {
		v.Routes = []lb.Route{
			{Methods: []string{"PUT"}, Redirect: lb.Redirect{Status: 308, To: "/x"}},
			{Path: lb.PathMatch{Kind: lb.PathExact, Value: "/"}, Methods: []string{"GET", "HEAD"}, Respond: lb.Respond{Status: 403, Body: "no"}},
			{Methods: []string{"TRACE"}, Service: "web"},
		}
	})
	for ask, want := range map[string]int{"PUT /": 308, "GET /": 403, "HEAD /": 403} {
		_, answer := th.sent(request(ask))
		body := len(bodyOf(answer))
		if r := l.only(t); r.Status != want || r.HeadOut != uint64(len(answer)-body) || r.BodyOut != uint64(body) || r.Why != accesslog.NoBackend || r.End != accesslog.Local || (r.Route == 1) != (want == 308) {
			t.Errorf("%s: %+v for %q", ask, r, answer)
		}
	}
	th.sent("TRACE / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n")
	if r := l.only(t); r.Status != 405 || r.End != accesslog.Local || r.Route != 3 {
		t.Errorf("a TRACE that ends here: %+v", r)
	}
	th.sent(request("/plain"))
	if r := l.only(t); r.Status != 200 || r.End != accesslog.Complete || r.Route != 0 {
		t.Errorf("without a route: %+v", r)
	}
	if got := th.ledger.Details(th.cells[ServiceKey("web")]).Results; len(got) != 4 || got[308-100] != 1 || got[403-100] != 2 {
		t.Errorf("results %v", got)
	}
}

func TestALoggedRequestAllocatesNothing(t *testing.T) {
	th := newTheatre(t, 1)
	logs := accesslog.NewLogs()
	defer logs.Close(t.Context())
	th.service.Log = logs.Log(lb.AccessLog{Path: "/dev/null", Format: lb.LogJSON}, func(int) {})
	again := roundTrips(th)
	again()
	if n := testing.AllocsPerRun(100, again); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// roundTrips returns a function that sends a request and its answer.
func roundTrips(th *theatre) func() {
	k := th.accept()
	request, answer := []byte("GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nReferer: http://example.com/\r\nUser-Agent: Mozilla/5.0 (X11)\r\n\r\n"), []byte(hello)
	k.client.Data(request)
	s := th.connected()
	s.backend.Data(answer)
	return func() {
		s.out, k.out = s.out[:0], k.out[:0]
		k.client.Data(request)
		s.backend.Data(answer)
	}
}

func BenchmarkExchange(b *testing.B) {
	for _, c := range []struct {
		name    string
		metrics bool
		format  lb.LogFormat
	}{{"plain", false, ""}, {"metrics", true, ""}, {"metrics,combined", true, lb.LogCombined}, {"metrics,timings", true, lb.LogTimings}, {"metrics,json", true, lb.LogJSON}} {
		b.Run(c.name, func(b *testing.B) {
			th := newTheatre(b, 1)
			if !c.metrics {
				plain := func(key string) Account { return Account{th.board.Row(0).Cell(th.cells[key]).Plain()} }
				s, err := NewService(th.service.Service, nil, plain)
				if err != nil {
					b.Fatal(err)
				}
				th.service = s
				th.front.Serve(s)
			}
			if c.format != "" {
				logs := accesslog.NewLogs()
				defer logs.Close(b.Context())
				th.service.Log = logs.Log(lb.AccessLog{Path: "/dev/null", Format: c.format}, func(int) {})
			}
			again := roundTrips(th)
			b.ReportAllocs()
			for b.Loop() {
				again()
			}
		})
	}
}
