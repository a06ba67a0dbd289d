package ctl

import (
	"fmt"
	"net/http"

	"lbctl/internal/lb"
)

// patched changes one backend. Without an effect it returns no events.
func (s state) patched(service, backend string, p BackendPatch) (next state, events []Event, err error) {
	svc, b, err := s.find(service, backend)
	if err != nil {
		return s, nil, err
	}
	if p.Weight != nil && *p.Weight > MaxWeight {
		return s, nil, problem(http.StatusUnprocessableEntity, "weight %d: want 0 to %d", *p.Weight, MaxWeight)
	}
	if p.Admin != nil && *p.Admin > lb.Disabled {
		return s, nil, problem(http.StatusUnprocessableEntity, "admin state %s is none", *p.Admin)
	}
	key := memberKey{svc.Name, b.Addr}
	m := s.members[key]
	event := Event{Service: svc.Name, Backend: b.Name}
	if p.Admin != nil && *p.Admin != m.admin {
		event.Kind = EventAdmin
		event.Message = fmt.Sprintf("%s/%s is %s, was %s", svc.Name, b.Name, *p.Admin, m.admin)
		events = append(events, event)
		m.admin = *p.Admin
	}
	if was := m.effective(b.Weight); p.Weight != nil && *p.Weight != was {
		event.Kind = EventWeight
		event.Message = fmt.Sprintf("%s/%s weighs %d, was %d (scenario: %d)", svc.Name, b.Name, *p.Weight, was, b.Weight)
		events = append(events, event)
		m.weight = nil
		if *p.Weight != b.Weight {
			weight := *p.Weight
			m.weight = &weight
		}
	}
	if len(events) == 0 {
		return s, nil, nil
	}
	next = s.clone()
	next.members[key] = m
	return next, events, nil
}

func (m member) effective(configured uint32) uint32 {
	if m.weight != nil {
		return *m.weight
	}
	return configured
}

// find returns a service and its backend, or a Problem that says which names there are.
func (s state) find(service, backend string) (lb.Service, lb.Backend, error) {
	svc, ok := s.service(service)
	if !ok {
		return lb.Service{}, lb.Backend{}, notFound("service", service, "", s.serviceNames())
	}
	var names []string
	for _, b := range svc.Backends {
		if b.Name == backend {
			return svc, b, nil
		}
		names = append(names, b.Name)
	}
	return lb.Service{}, lb.Backend{}, notFound("backend", backend, " in service "+service, names)
}
