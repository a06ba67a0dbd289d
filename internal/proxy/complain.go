package proxy

import "lbctl/internal/accesslog"

// Complaints hears what is wrong with a backend, or with what a client sends; then
// backend is empty. It must not wait.
type Complaints interface {
	Complain(what accesslog.End, service, backend, reason string)
}

// ComplainTo tells c from now on.
func (c *Core) ComplainTo(to Complaints) { c.complaints = to }

func (c *Core) complain(what accesslog.End, service, backend, reason string) {
	if c.complaints != nil {
		c.complaints.Complain(what, service, backend, reason)
	}
}

// blame counts what went wrong with the attempt under way, and tells of it.
func (x *Exchange) blame(what accesslog.End, reason string) {
	name := ""
	if x.member != nil {
		name = x.member.Name
		if event, ok := eventOf(what); ok {
			x.member.Endpoint.Account.AddEvents(event, 1)
		}
	}
	x.core.complain(what, x.service.Name, name, reason)
}
