package proxy

import (
	"errors"
	"os"
	"syscall"
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/lb"
	"lbctl/internal/scoreboard"
)

// errCut is why a connection to a disabled backend ends.
var errCut = errors.New("the backend was disabled")

// failure is why an attempt came to nothing, and what the client is told.
type failure struct {
	status int
	reason string
	end    accesslog.End
	retry  bool // another backend may be tried
	client bool // it is the client's own fault
	nobody bool // whose fault it is cannot be known
}

// fail ends the attempt, if there is one, and tries another backend if it may, or
// answers.
func (x *Exchange) fail(f failure) {
	theirs := !f.client && !f.nobody
	if theirs {
		x.judge(true)
		x.blame(f.end, f.reason)
	} else {
		x.core.complain(f.end, x.service.Name, "", f.reason)
	}
	unsent := x.stage == stageConnects && !x.sent
	x.drop()
	if f.retry && x.retries < x.service.HTTP.Retries && x.retry(unsent) {
		return
	}
	x.trace.end = f.end
	if x.stage == stageRelays { // the client has part of an answer
		x.cut()
		return
	}
	switch {
	case theirs:
		x.countError()
	case f.nobody:
		x.service.Account.AddError()
	}
	x.makeUp(f.status, f.reason)
}

// retry tries a member that was not tried, by the policy of its own time: what
// failed this one may have been a configuration that took others away, too.
//
// The budget is for requests that a backend has got: what was not sent adds no
// load to anybody.
func (x *Exchange) retry(unsent bool) bool {
	x.renew()
	failed := x.member
	x.tried = append(x.tried, failed.ID)
	x.key.Now = x.core.driver.Now()
	if !unsent && !x.service.budget.Retry(x.key.Now) {
		return false
	}
	m, _ := x.service.pick(x.key, x.tried)
	if m == nil {
		return false
	}
	x.retries++
	x.service.Account.AddRetry()
	failed.Endpoint.Account.AddRetry()
	x.core.release(x.in)
	x.in = nil
	x.answer.Reset()
	x.stage = stageRequest
	x.try(m)
	return true
}

// backendEnded says what it means that the backend's connection ended: with err,
// or in order if it is nil.
func (x *Exchange) backendEnded(err error) {
	switch x.stage {
	case stageConnects:
		if errors.Is(err, syscall.ETIMEDOUT) {
			x.backendExpired()
			return
		}
		f := failure{status: 502, end: accesslog.ConnectFailed, reason: "connect to backend " + x.member.Name + ": " + cause(err), retry: true}
		if short(err) {
			f.status, f.end, f.nobody = 503, accesslog.Unavailable, true
		}
		x.fail(f)
	case stageWaits:
		x.died()
	case stageRelays:
		if err == nil && x.outBody.EOF() == nil {
			x.keep = false
			x.core.head, x.core.pieces = x.core.head[:0], x.core.pieces[:0]
			if x.chunks {
				x.core.finishChunks(nil)
			}
			x.pass()
			x.answered(false)
			return
		}
		x.broke(accesslog.BackendBroke)
	case stageTunnels:
		x.tunnelEnded(err)
	}
}

// died says what it means that a connection ended before the head of an answer was
// whole. The request may be sent twice if its method is idempotent (RFC 9110,
// section 9.2.2) and all of it is still here: over a new connection to the same
// backend if this one had been kept and may just have been closed as idle, else
// to another one.
func (x *Exchange) died() {
	twice := x.remade && x.method.Idempotent()
	if twice && x.backend.used && !x.heard && !x.backend.pool.quiet {
		b := x.part() // and keeps its place
		b.shut(b.conn.Close)
		x.attempt(x.member, nil)
		return
	}
	x.fail(failure{status: 502, end: accesslog.BackendBroke, reason: "the connection to backend " + x.member.Name + " ended before it answered", retry: twice})
}

// observe tells how long the backend has taken.
func (x *Exchange) observe(failed bool) {
	if x.service.Policy != lb.PeakEWMA || x.backend == nil {
		return
	}
	now := x.core.driver.Now()
	took := time.Duration(now - x.attempted)
	if failed { // who fails at once must not seem quick
		took = max(took, x.service.HTTP.BackendHeadTimeout)
	}
	x.member.Endpoint.Account.words().Observe(took, now)
}

// judge notes how the backend has answered: what counts is what is noted last when the attempt ends. One that was
// disabled, and cut off, has not failed.
func (x *Exchange) judge(failed bool) {
	if x.backend == nil || x.backend.pool.quiet {
		return
	}
	x.observe(failed)
	x.judged, x.failed = true, failed
}

// report tells how the attempt went, by which its backend may be ejected for a while.
func (x *Exchange) report() {
	judged := x.judged
	x.judged = false
	if !judged || x.service.HTTP.Outlier == (lb.Outlier{}) {
		return
	}
	if _, ejected := x.service.ejector.Report(x.member.ID, x.failed, x.core.driver.Now()); ejected {
		x.service.Account.AddEvents(scoreboard.Ejected, 1)
		x.member.Endpoint.Account.AddEvents(scoreboard.Ejected, 1)
	}
}

// broke ends an exchange whose backend has given half an answer.
func (x *Exchange) broke(end accesslog.End) {
	how := " broke off"
	if end == accesslog.BackendTimeout {
		how = " stopped"
	}
	x.judge(true)
	x.trace.end = end
	x.blame(end, "the answer of backend "+x.member.Name+how)
	x.countError()
	x.cut()
}

// short reports whether a connection could not be made for want of something on this machine, which is not the
// backend's fault.
func short(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL:
		return true
	}
	return false
}

// backendExpired says what it means that the backend was too slow.
func (x *Exchange) backendExpired() {
	switch x.stage {
	case stageConnects:
		x.fail(failure{status: 504, end: accesslog.ConnectTimeout, reason: "connect to backend " + x.member.Name + ": timed out", retry: true})
	case stageWaits:
		x.fail(failure{status: 504, end: accesslog.HeadTimeout, reason: "backend " + x.member.Name + " did not answer in time"})
	case stageRelays:
		x.broke(accesslog.BackendTimeout)
	case stageTunnels:
		x.trace.end = accesslog.TunnelTimeout
		x.closeTunnel()
	}
}

// clientExpired says what it means that the client was too slow.
func (x *Exchange) clientExpired() {
	if x.stage < stageRelays && !x.whole {
		x.fail(failure{status: 408, end: accesslog.ClientTimeout, reason: "the request's body did not come in time", client: true})
		return
	}
	if left := x.client.conn.Pending(); left > 0 && left != x.client.left { // it takes some
		x.client.left = left
		x.client.conn.Deadline(x.service.HTTP.ClientBodyTimeout)
		return
	}
	x.trace.end = accesslog.ClientTimeout
	x.abandon(x.client.conn.Abort)
}

// overdue says what it means that the request has taken too long. Where the client may
// have used up the time, as with a body that came slowly, or an answer that it takes
// slowly, no backend is ejected for it.
func (x *Exchange) overdue() {
	x.timer = nil
	const end = accesslog.RequestTimeout
	switch {
	case x.stage == stageRelays:
		x.trace.end = end
		x.core.complain(end, x.service.Name, "", "the answer did not end in time")
		x.service.Account.AddError()
		x.cut()
	case !x.whole && x.queued == 0 && !x.clientOff:
		x.fail(failure{status: 408, end: end, reason: "the request did not come in time", client: true})
	default:
		x.observe(false)
		x.fail(failure{status: 504, end: end, reason: "the request was not answered in time", nobody: true})
	}
}

// noTimer lets an exchange take as long as it likes.
func (x *Exchange) noTimer() {
	if x.timer != nil {
		x.timer.Stop()
		x.timer = nil
	}
}

// clientDrained lets the backend send again.
func (x *Exchange) clientDrained() {
	switch x.stage {
	case stageRelays:
		if !x.clientOff {
			x.client.listenFor(x)
		}
		x.hold()
	case stageTunnels:
		if x.backendOff {
			x.backendOff = false
			x.backend.conn.Resume()
		}
	}
}

// backendDrained lets the client send again.
func (x *Exchange) backendDrained() {
	x.relieve()
	if x.stage == stageWaits {
		x.await()
	}
}

// cause is the errno inside err, whose words need no address around them.
func cause(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		return sys.Err.Error()
	}
	if err == nil {
		return "closed"
	}
	return err.Error()
}
