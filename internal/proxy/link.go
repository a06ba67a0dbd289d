package proxy

import (
	"fmt"
	"slices"
)

// Link has the routes of services lead to each other. All are of one
// configuration, and none is in force yet.
func Link(services []*Service) error {
	named := map[string]*Service{}
	for _, s := range services {
		named[s.Name] = s
	}
	for _, s := range services {
		for i := range s.routes {
			r := &s.routes[i]
			if r.target = s; r.service == "" {
				continue
			}
			if r.target = named[r.service]; r.target == nil {
				return fmt.Errorf("service %s: route %d: there is no l7 service %s", s.Name, i+1, r.service)
			}
		}
		s.nameCookies()
	}
	return nil
}

// nameCookies notes the sticky cookies that a client may have from s's front. It may have others from
// a front at another port of the same host; but these names may mean something else to s's backends.
func (s *Service) nameCookies() {
	s.cookies = nil
	note := func(t *Service) {
		if t.sticky.Sticky != nil && !slices.Contains(s.cookies, t.sticky.name) {
			s.cookies = append(s.cookies, t.sticky.name)
		}
	}
	note(s)
	for i := range s.routes {
		note(s.routes[i].target)
	}
}

// current is the version in force of the service that x goes by, or x's own if
// no request goes there any more.
func (x *Exchange) current() *Service {
	now := x.client.front.Service()
	if now.Account == x.service.Account {
		return now
	}
	for i := range now.routes {
		if t := now.routes[i].target; t.Account == x.service.Account {
			return t
		}
	}
	return x.service
}

// renew goes by the version of the service that is in force.
func (x *Exchange) renew() {
	if now := x.current(); now != x.service {
		now.refs.Add(1)
		x.service.refs.Add(-1)
		x.service = now
	}
}
