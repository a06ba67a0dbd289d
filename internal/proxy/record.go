package proxy

import (
	"bytes"
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/http1"
	"lbctl/internal/scoreboard"
)

// Log takes the record of each exchange of a service, when it is over. It is
// called by all threads that serve it, and must not wait.
type Log interface{ Log(r *accesslog.Record) }

// maxLine bounds what is logged of something that is no request.
const maxLine = 1 << 10

// trace is what an exchange remembers to be counted and logged when it is over.
type trace struct {
	text         []byte // a copy of what of the request's head is logged; nil: nothing is
	method       []byte // in text, as the next four
	target       []byte
	host         []byte
	referer      []byte
	agent        []byte
	clientReused bool

	choice        accesslog.Why // of the first attempt's backend
	attempts      int
	backendReused bool
	queue         time.Duration // this and the next two are accesslog.None until they have come about
	connect       time.Duration
	head          time.Duration

	status   int  // that the client was told; 0: none
	answered bool // it is a backend's
	end      accesslog.End
	reason   string

	headIn, bodyIn, headOut, out uint64
}

// note begins the trace of a request.
func (x *Exchange) note(c *ClientConn, r *http1.Request) {
	t := &x.trace
	t.queue, t.connect, t.head = accesslog.None, accesslog.None, accesslog.None
	t.clientReused, c.reused = c.reused, true
	if x.service.Log == nil {
		return
	}
	referer, agent := fieldNamed(r, "Referer"), fieldNamed(r, "User-Agent")
	t.text = x.core.buffer()
	if n := len(r.MethodName) + len(r.Target) + len(r.Host) + len(referer) + len(agent); n > cap(t.text) {
		x.core.release(t.text)
		t.text = make([]byte, 0, n)
	}
	for _, f := range []struct {
		to   *[]byte
		from []byte
	}{{&t.method, r.MethodName}, {&t.target, r.Target}, {&t.host, r.Host}, {&t.referer, referer}, {&t.agent, agent}} {
		at := len(t.text)
		t.text = append(t.text, f.from...)
		*f.to = t.text[at:]
	}
}

// tried notes that an attempt begins.
func (t *trace) tried(waited time.Duration, reused bool) {
	if t.attempts == 0 {
		t.queue = waited
	}
	t.attempts++
	t.backendReused, t.connect, t.head = reused, accesslog.None, accesslog.None
}

// told notes the status that the client is told in a head of so many bytes.
func (t *trace) told(status, head int) {
	t.status = status
	t.headOut += uint64(head)
}

// answers notes the answer of a backend, which took so long.
func (t *trace) answers(status, head int, took int64) {
	t.told(status, head)
	t.answered, t.head = true, time.Duration(took)
}

// outcome is the status that the exchange is counted and logged by.
func (t *trace) outcome() int {
	switch {
	case t.status != 0:
		return t.status
	case t.end == accesslog.Removed:
		return accesslog.Unanswered
	}
	return accesslog.ClientClosed
}

// conclude counts and logs an exchange that is over.
func (x *Exchange) conclude() {
	t := &x.trace
	now := x.core.driver.Now()
	x.measure(now)
	x.core.slot.AddRequest(t.headIn+t.bodyIn, t.out)
	if event, ok := eventOf(t.end); ok {
		x.service.Account.AddEvents(event, 1)
	}
	if x.service.Log == nil {
		return
	}
	r := &x.core.record
	*r = accesslog.Record{
		Client: x.client.addr, ClientReused: t.clientReused,
		Method: t.method, Target: t.target, Host: t.host, Referer: t.referer, Agent: t.agent,
		Service: x.service.Name, BackendReused: t.backendReused, Attempts: t.attempts, Why: x.why(),
		Status: t.outcome(), End: t.end, Reason: t.reason,
		HeadIn: t.headIn, BodyIn: t.bodyIn, HeadOut: t.headOut, BodyOut: t.out - t.headOut,
		Queue: t.queue, Connect: t.connect, Head: t.head, Whole: time.Duration(now - x.began),
	}
	if !x.old {
		r.Minor = 1
	}
	if x.route != nil {
		r.Route = x.route.number
	}
	if m := x.member; m != nil {
		r.Backend, r.Address = m.Name, m.Addr
	}
	x.service.Log.Log(r)
}

// measure counts how long the exchange took, for the service and for the backend
// whose answer it was. How long a tunnel was open says nothing of either.
func (x *Exchange) measure(now int64) {
	t, service := &x.trace, x.service.Account
	service.addStatus(t.outcome())
	tunnel := t.status == 101
	if !tunnel {
		service.AddWhole(time.Duration(now - x.began))
	}
	if !t.answered {
		return
	}
	backend := x.member.Endpoint.Account
	backend.addStatus(t.status)
	service.AddHead(t.head + time.Duration(x.attempted-x.began))
	backend.AddHead(t.head)
	if !tunnel {
		backend.AddWhole(time.Duration(now - x.attempted))
	}
}

// why says what chose the backend.
func (x *Exchange) why() accesslog.Why {
	switch {
	case x.member == nil:
		return accesslog.NoBackend
	case x.retries > 0:
		return accesslog.Retried
	case x.trace.choice != accesslog.ByPolicy:
		return x.trace.choice
	case x.member.Backup:
		return accesslog.Backup
	case x.service.sole:
		return accesslog.OnlyOne
	}
	return accesslog.ByPolicy
}

// eventOf is what an end is counted as.
func eventOf(e accesslog.End) (event scoreboard.Event, counted bool) {
	switch e {
	case accesslog.ClientGone:
		return scoreboard.ClientLeft, true
	case accesslog.ConnectFailed, accesslog.BackendBroke:
		return scoreboard.BackendBroke, true
	case accesslog.ClientTimeout, accesslog.ConnectTimeout, accesslog.HeadTimeout, accesslog.BackendTimeout, accesslog.RequestTimeout, accesslog.TunnelTimeout:
		return scoreboard.TimedOut, true
	case accesslog.Removed:
		return scoreboard.Removed, true
	}
	return 0, false
}

// conclude counts and logs what came instead of a request, and was answered by a
// head and a body of so many bytes.
func (c *ClientConn) conclude(status int, reason string, came []byte, head, body int) {
	s := c.front.Service()
	s.Account.AddRequest()
	s.Account.addStatus(status)
	c.core.slot.AddRequest(uint64(len(came)), uint64(head+body))
	end := accesslog.BadRequest
	if status == 408 {
		end = accesslog.ClientTimeout
		s.Account.AddEvents(scoreboard.TimedOut, 1)
	}
	c.core.complain(end, s.Name, "", reason)
	if s.Log == nil {
		return
	}
	r := &c.core.record
	*r = accesslog.Record{
		Client: c.addr, ClientReused: c.reused, Line: firstLine(came), Service: s.Name, Status: status, End: end, Reason: reason,
		HeadIn: uint64(len(came)), HeadOut: uint64(head), BodyOut: uint64(body),
		Queue: accesslog.None, Connect: accesslog.None, Head: accesslog.None,
	}
	s.Log.Log(r)
}

// firstLine is the beginning of what came.
func firstLine(came []byte) []byte {
	came = bytes.TrimLeft(came, "\r\n")
	if end := bytes.IndexAny(came, "\r\n"); end >= 0 {
		came = came[:end]
	}
	return came[:min(len(came), maxLine)]
}
