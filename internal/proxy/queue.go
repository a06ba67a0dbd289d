package proxy

import (
	"slices"
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/lb"
)

// queuePoll is how often a thread looks whether a backend has become free by what
// other threads and processes have ended. Its own it knows of at once.
const queuePoll = 10 * time.Millisecond

// queues are the exchanges of a thread that wait for a backend below its MaxConn,
// by the account of their service, in order. A queue that is empty is kept.
type queues struct {
	waiting map[Account][]*Exchange
	n       int   // in all of them
	timer   Timer // runs while anybody waits
}

// canFill reports whether a service's backends may all be at their MaxConn.
func canFill(backends []lb.Backend) bool {
	return slices.ContainsFunc(backends, func(b lb.Backend) bool { return b.Eligible() && b.MaxConn > 0 })
}

// waitInLine has an exchange wait for a backend, behind those that do already.
func (x *Exchange) waitInLine() {
	s, q := x.service, &x.core.queues
	if n := s.Account.Enqueue(); n > int64(s.HTTP.Queue.Length) {
		s.Account.Dequeue()
		x.fail(failure{status: 503, end: accesslog.Unavailable, reason: "the queue of service " + s.Name + " is full"})
		return
	}
	x.queued = x.core.driver.Now() + int64(s.HTTP.Queue.Timeout)
	x.client.listenFor(x)
	q.waiting[s.Account] = append(q.waiting[s.Account], x)
	q.n++
	if q.timer == nil {
		q.timer = x.core.driver.After(queuePoll, x.core.tick)
	}
}

// leaveLine ends an exchange's wait.
func (x *Exchange) leaveLine() {
	q, account := &x.core.queues, x.service.Account
	line := q.waiting[account]
	i := slices.Index(line, x)
	q.waiting[account] = slices.Delete(line, i, i+1)
	q.n--
	x.queued = 0
	account.Dequeue()
}

// inLine reports whether anybody waits for the service.
func (c *Core) inLine(s *Service) bool { return c.queues.n > 0 && len(c.queues.waiting[s.Account]) > 0 }

// admit gives those who wait for a service the backends that have become free.
func (c *Core) admit(account Account) {
	if c.queues.n == 0 {
		return
	}
	for len(c.queues.waiting[account]) > 0 {
		x := c.queues.waiting[account][0]
		x.renew()
		x.key.Now = c.driver.Now()
		m := x.choose()
		if m == nil {
			return
		}
		x.leaveLine()
		if !x.clientOff {
			x.client.listenFor(x)
		}
		x.try(m)
	}
}

// tick polls for as long as anybody waits.
func (c *Core) tick() {
	c.queues.timer = nil
	c.poll()
	if c.queues.n > 0 && c.queues.timer == nil {
		c.queues.timer = c.driver.After(queuePoll, c.tick)
	}
}

// poll looks after all who wait.
func (c *Core) poll() {
	q := &c.queues
	now := c.driver.Now()
	for account := range q.waiting {
		c.admit(account)
		for i := 0; i < len(q.waiting[account]); {
			if x := q.waiting[account][i]; x.queued <= now {
				x.leaveLine()
				x.fail(failure{status: 503, end: accesslog.Unavailable, reason: "no backend of service " + x.service.Name + " was free in time"})
				continue
			}
			i++
		}
		if len(q.waiting[account]) == 0 {
			delete(q.waiting, account)
		}
	}
}
