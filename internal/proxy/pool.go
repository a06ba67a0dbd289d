package proxy

import (
	"slices"
	"time"

	"lbctl/internal/lb"
)

// pool holds a thread's connections to one endpoint.
type pool struct {
	core     *Core
	endpoint *Endpoint
	all      list[BackendConn]
	kept     []*BackendConn // that no request is on; the last one was used last
	quiet    bool           // the backend takes nothing new: nothing is kept
}

func (c *Core) poolOf(e *Endpoint) *pool {
	p := c.pools[e]
	if p == nil {
		p = &pool{core: c, endpoint: e}
		c.pools[e] = p
	}
	return p
}

// take returns a connection that was kept, the one used last, or nil. It makes sure
// that it is not too old, and that nothing has come on it, as far as Alive sees: not its
// end, and no bytes in excess of the last answer, which would be taken for the next one.
func (p *pool) take() *BackendConn {
	for n := len(p.kept); n > 0; n = len(p.kept) {
		b := p.kept[n-1]
		p.kept[n-1] = nil
		p.kept = p.kept[:n-1]
		p.endpoint.kept.Add(-1)
		if b.left() > 0 && p.core.driver.Alive(b.conn) {
			return b
		}
		b.shut(b.conn.Close)
	}
	return nil
}

// put keeps a connection whose exchange is over.
func (p *pool) put(b *BackendConn) {
	left := b.left()
	if p.quiet || left <= 0 || !p.endpoint.keep() {
		b.shut(b.conn.Close)
		return
	}
	b.used = true
	p.kept = append(p.kept, b)
	b.conn.Deadline(min(p.endpoint.IdleTime, left))
}

// left is for how long the connection may still be kept.
func (b *BackendConn) left() time.Duration {
	return b.pool.endpoint.MaxAge - time.Duration(b.pool.core.driver.Now()-b.born)
}

// lose forgets a connection that may be among those kept.
func (p *pool) lose(b *BackendConn) {
	if i := slices.Index(p.kept, b); b.x == nil && i >= 0 {
		p.kept = slices.Delete(p.kept, i, i+1)
		p.endpoint.kept.Add(-1)
	}
}

// hush keeps no connection any more. Those in use end with their requests.
func (p *pool) hush() {
	p.quiet = true
	for len(p.kept) > 0 {
		b := p.kept[len(p.kept)-1]
		b.shut(b.conn.Close)
	}
}

// cut closes every connection, in use or not.
func (p *pool) cut() {
	p.all.each(func(b *BackendConn) {
		x := b.x
		b.shut(b.conn.Abort)
		if x != nil {
			x.backendEnded(errCut)
		}
	})
}

// Wake lets the pools of eligible backends keep connections again. It must be
// called before the services are in force.
func (c *Core) Wake(services []*Service) {
	for _, s := range services {
		for _, m := range s.Members {
			if p := c.pools[m.Endpoint]; p != nil && m.Eligible() {
				p.quiet = false
			}
		}
	}
}

// Settle brings the connections into line with the services that are in force
// now: backends that take nothing new keep none that nobody uses, and disabled
// ones none at all.
func (c *Core) Settle(services []*Service) {
	wanted := map[*Endpoint]*Member{}
	for _, s := range services {
		for _, m := range s.Members {
			wanted[m.Endpoint] = m
		}
	}
	for e, p := range c.pools {
		m := wanted[e]
		switch {
		case m != nil && m.Eligible():
		case m != nil && m.Admin == lb.Disabled:
			p.quiet = true
			p.cut()
		default:
			p.hush()
		}
		if m == nil && p.all.n == 0 {
			delete(c.pools, e)
		}
	}
	if c.queues.n > 0 { // there may be others to go to
		c.poll()
	}
}
