package proxy

import (
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/balance"
	"lbctl/internal/http1"
	"lbctl/internal/lb"
)

// stage is how far an exchange is, seen from the backend.
type stage uint8

const (
	stageRequest  stage = iota // no backend yet
	stageConnects              // to one
	stageWaits                 // for the head of its answer
	stageRelays                // the answer, whose head the client has
	stageTunnels               // bytes, both ways
	stageOver
)

// Exchange is one request on its way. It lives from the request's head to the
// end of the answer.
type Exchange struct {
	core    *Core
	client  *ClientConn
	service *Service
	member  *Member      // of the attempt under way, or of the last one
	backend *BackendConn // nil if there is none now
	stage   stage

	// Of the request.
	method    http1.Method
	old       bool // the client speaks HTTP/1.0
	close     bool // its connection ends with this answer
	upgrade   bool // it asked for another protocol
	sent      bool // part of the request has gone to a backend
	odd       bool // it has a body, which the backend may not look for
	whole     bool // the client has sent all of it
	chunked   bool // its body goes out in chunks
	remade    bool // out has all of the request up to now: it can be sent again
	heard     bool // the backend of this attempt has said something
	judged    bool // how it answered is known:
	failed    bool // not as it should
	inBody    http1.Body
	out       []byte // what of the request must be kept, ready to be sent
	key       balance.Key
	tried     []lb.BackendID
	retries   int
	interims  int
	route     *route       // that it goes by, nil: the service's own way
	cookies   []string     // names of those that backends do not get
	stuck     lb.BackendID // that its cookie names
	gathers   bool         // it goes to a backend when it is whole, or too large for that
	hostAt    int          // where Host's value belongs in out; 0: it is there
	received  int64        // of the body
	queued    int64        // until when it waits for a backend, 0 if it does not
	timer     Timer        // of RequestTimeout, nil: none
	late      func()       // overdue, for that
	began     int64        // the driver's clock
	attempted int64        // likewise: when the attempt under way began
	clientOff bool         // the client is paused for the backend's sake

	// Of the answer.
	answer     http1.Parser
	in         []byte // part of the answer's head; nil: nothing
	outBody    http1.Body
	chunks     bool // its body goes to the client in chunks
	untilEnd   bool // it ends with the client's connection
	keep       bool // the backend's connection can be kept
	backendOff bool // the backend is paused for the client's sake
	ended      [2]bool

	trace trace
}

// begin takes a request's head.
func (x *Exchange) begin(c *ClientConn, s *Service, r *http1.Request) {
	m, path, ok := s.route(r, x.core.path)
	x.core.path, x.cookies = path, s.cookies
	if m != nil {
		s = m.target
	}
	x.client, x.service, x.route, x.stage = c, s, m, stageRequest
	x.method, x.old = r.Method, r.Minor == 0
	// RFC 9112, section 9.3: a proxy keeps no HTTP/1.0 client's connection.
	x.close = !r.KeepAlive || x.old || c.front.closed.Load()
	x.inBody.Start(r.Body, r.Length)
	x.whole = x.inBody.Done()
	x.began = x.core.driver.Now()
	x.key = balance.Key{Src: c.addr.Addr(), SrcPort: c.addr.Port(), Now: x.began, Random: x.core.draw()}
	if s.HTTP.RetryBudget != (lb.RetryBudget{}) {
		s.budget.Request(x.began)
	}
	s.Account.begin()
	s.refs.Add(1)
	x.note(c, r)
	c.phase = clientWaits
	if !x.whole {
		c.phase = clientBody
		c.conn.Deadline(s.HTTP.ClientBodyTimeout)
	} else {
		c.conn.Deadline(0)
	}
	x.inBody.Limits, x.answer.Limits = &s.limits, &s.limits
	switch {
	case r.Method == http1.CONNECT:
		x.reject(501, "CONNECT is not supported")
		return
	case !ok:
		x.reject(400, "the path can be read in several ways")
		return
	case m != nil && m.status != 0:
		if !m.rewrite.apply(r, x.core) {
			x.reject(400, "the path can be read in several ways")
			return
		}
		x.perform(m, r)
		return
	}
	x.odd = !x.whole && bodyIsOdd(r.Method)
	x.accept(r)
}

// start sends the request to a backend, if it is not on its way already.
func (x *Exchange) start() {
	if x.stage != stageRequest || x.client == nil || x.queued != 0 || x.gathers && x.gathering() {
		return
	}
	if x.gathers { // that took a while
		x.renew()
		x.key.Now = x.core.driver.Now()
	}
	if x.service.queues && x.core.inLine(x.service) {
		x.waitInLine()
		return
	}
	m := x.choose()
	switch {
	case m == nil && x.service.queues:
		x.waitInLine()
		return
	case m == nil:
		x.fail(failure{status: 503, end: accesslog.Unavailable, reason: "no backend of service " + x.service.Name + " is eligible"})
		return
	}
	x.try(m)
}

// try begins an attempt with a member that was picked.
func (x *Exchange) try(m *Member) {
	m.Endpoint.Account.Begun()
	x.attempt(m, x.core.poolOf(m.Endpoint).take())
}

// attempt goes over a connection that was kept or, if that is nil, a new one. The
// attempt is counted as in flight already.
func (x *Exchange) attempt(m *Member, b *BackendConn) {
	x.member, x.heard = m, false
	x.attempted = x.core.driver.Now()
	x.trace.tried(time.Duration(x.attempted-x.began), b != nil)
	m.Endpoint.Account.AddRequest()
	if b == nil {
		x.stage = stageConnects
		x.core.connect(x, m)
	} else {
		x.stage, x.backend, b.x = stageWaits, b, x
		x.send()
	}
}

// send gives the backend everything of the request that is there.
func (x *Exchange) send() {
	b := x.backend
	x.stage, x.sent = stageWaits, true
	x.writeHead(b)
	x.await()
	x.forget()
	x.relieve()
}

// await sets the deadline for what the backend has to do next: answer or, if the
// client waits for it, take more of the request.
func (x *Exchange) await() {
	if x.whole || x.clientOff {
		x.backend.conn.Deadline(x.service.HTTP.BackendHeadTimeout)
	} else {
		x.backend.conn.Deadline(0) // it is the client who is slow
	}
}

// forget lets go of a request that would not be sent a second time anyway.
func (x *Exchange) forget() {
	if !x.method.Idempotent() || !x.remade {
		x.remade = false
		x.core.release(x.out)
		x.out = nil
	}
}

// finish ends an exchange whose answer the client has, or will have had when its
// connection has taken what is pending.
func (x *Exchange) finish() {
	c, last, all := x.client, x.close, x.whole
	x.over()
	if last {
		c.last(all)
	} else {
		c.next()
	}
}

// abandon ends an exchange whose client has gone or is to go.
func (x *Exchange) abandon(how func()) {
	c := x.client
	if x.trace.end == accesslog.Complete {
		x.trace.end = accesslog.ClientGone
	}
	x.drop()
	x.over()
	c.shut(how)
}

// cut ends an exchange whose answer broke off. The client must not take half an
// answer for a whole one.
func (x *Exchange) cut() {
	c, ends := x.client, x.untilEnd
	x.drop()
	x.over()
	if ends { // nothing but a reset tells it
		c.shut(c.conn.Abort)
	} else {
		c.shut(c.conn.CloseWhenDrained)
	}
}

// drop ends the attempt and closes the backend's connection.
func (x *Exchange) drop() {
	b := x.detach()
	if b != nil {
		b.shut(b.conn.Close)
	}
}

// detach ends the attempt and returns its connection.
func (x *Exchange) detach() *BackendConn {
	b := x.part()
	if b != nil {
		x.report()
		x.member.Endpoint.Account.End()
	}
	return b
}

// part takes the connection off the attempt, which goes on as far as its backend's account is concerned.
func (x *Exchange) part() *BackendConn {
	b := x.backend
	if b != nil {
		b.x, x.backend = nil, nil
	}
	return b
}

func (x *Exchange) over() {
	x.stage = stageOver
	if x.queued != 0 {
		x.leaveLine()
	}
	x.noTimer()
	if x.clientOff { // nobody else lets it send again
		x.clientOff = false
		x.client.heed()
	}
	x.conclude()
	c, account := x.core, x.service.Account
	account.End()
	x.service.refs.Add(-1)
	c.recycle(x)
	c.admit(account)
}

func (x *Exchange) countError() {
	x.service.Account.AddError()
	if x.member != nil {
		x.member.Endpoint.Account.AddError()
	}
}
