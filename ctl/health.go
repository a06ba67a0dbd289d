package ctl

import (
	"fmt"

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
