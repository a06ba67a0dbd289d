package ctl

import (
	"fmt"
	"time"

	"lbctl/healthcheck"
	"lbctl/internal/lb"
)

// transitioned takes in a transition: every backend of every service that is
// judged by its (address, check) changes with it. touched names them; nobody
// is touched by news of a target that is no longer wanted.
func (s state) transitioned(tr lb.Transition) (next state, touched []string) {
	for _, svc := range s.config.Services {
		for _, b := range svc.Backends {
			if svc.Check == tr.Check && b.Addr == tr.Addr {
				touched = append(touched, svc.Name+"/"+b.Name)
			}
		}
	}
	if len(touched) == 0 || tr.Check == "" {
		return s, nil
	}
	next = s.clone()
	next.health[tr.Target] = finding{health: tr.To, since: tr.At, reason: tr.Reason}
	return next, touched
}

func transitionEvent(tr lb.Transition, touched []string) Event {
	return Event{
		Kind: EventTransition, Transition: &tr, Touched: touched,
		Message: fmt.Sprintf("%s is %s, was %s (check %s: %s)", tr.Addr, tr.To, tr.From, tr.Check, tr.Reason),
	}
}

// ejected tells of a backend that a plane has ejected, and has the checker look at it
// soon. By itself that changes no health: it says how a service's requests fare, which
// another service's, in another plane, may not.
func (c *Controller) ejected(p Plane, e lb.Ejection) {
	v := c.latest.Load()
	for _, svc := range v.snapshot.Services {
		for _, b := range svc.Backends {
			if svc.Name != e.Service || b.ID != e.Backend {
				continue
			}
			c.events.add(Event{
				Kind: EventEjected, Revision: v.revision, Plane: p.Name, Node: p.Node, Service: svc.Name, Backend: b.Name,
				Message: fmt.Sprintf("%s/%s is ejected by %s for %s, for how it answered", svc.Name, b.Name, p, time.Until(e.Until).Round(time.Second)),
			})
			c.monitor.Doubt(lb.Target{Addr: b.Addr, Check: svc.Check}, healthcheck.Doubt{Reason: "ejected by " + p.String(), Until: e.Until})
		}
	}
}
