package ctl

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"lbctl/internal/lb"
)

// state is all that the Controller knows, at one revision. It is a value:
// what changes it returns another one (configure.go, backend.go, health.go), so
// that a change which cannot be persisted never was.
type state struct {
	revision       uint64
	configRevision uint64 // revision at which config became what it is
	config         lb.Config
	nextID         lb.BackendID // the next new member's; IDs are never reused
	members        map[memberKey]member
	health         map[lb.Target]finding
	timeouts       lb.Timeouts // set at runtime; zero ones: as config says
	planes         []lb.Plane  // that ever had a service: they may still forward something
	stickyKey      string      // of sticky cookies whose service has none of its own; made with the first of them
}

// memberKey is what makes a backend the same backend.
type memberKey struct {
	service string
	addr    netip.AddrPort
}

// member is what the Controller adds to a configured backend.
type member struct {
	id     lb.BackendID
	admin  lb.Admin
	weight *uint32 // set at runtime; nil: the configured one. Never written through.
}

// finding is the health of a target.
type finding struct {
	health lb.Health
	since  time.Time
	reason string
}

func newState() state {
	return state{nextID: 1, members: map[memberKey]member{}, health: map[lb.Target]finding{}}
}

// clone returns a state whose maps and slices can be written.
// config is shared: it is replaced, never written.
func (s state) clone() state {
	s.members = maps.Clone(s.members)
	s.health = maps.Clone(s.health)
	s.planes = slices.Clone(s.planes)
	return s
}

// snapshot is the desired state as the planes see it.
func (s state) snapshot() lb.Snapshot {
	snap := lb.Snapshot{Revision: s.revision, Services: slices.Clone(s.config.Services), Timeouts: s.inForce()}
	for i, svc := range snap.Services {
		backends := slices.Clone(svc.Backends)
		for j, b := range backends {
			m := s.members[memberKey{svc.Name, b.Addr}]
			b.ID, b.Admin, b.Health = m.id, m.admin, lb.Up
			if m.weight != nil {
				b.Weight = *m.weight
			}
			if svc.Check != "" {
				b.Health = s.health[lb.Target{Addr: b.Addr, Check: svc.Check}].health
			}
			backends[j] = b
		}
		snap.Services[i].Backends = backends
		if sticky := &snap.Services[i].HTTP.Sticky; sticky.Cookie != "" && sticky.Key == "" {
			sticky.Key = s.stickyKey
		}
	}
	return snap
}

// targets are the addresses to probe, each with its check, once.
func (s state) targets() []lb.Target {
	var targets []lb.Target
	seen := map[lb.Target]bool{}
	for _, svc := range s.config.Services {
		for _, b := range svc.Backends {
			t := lb.Target{Addr: b.Addr, Check: svc.Check}
			if svc.Check != "" && !seen[t] {
				seen[t] = true
				targets = append(targets, t)
			}
		}
	}
	return targets
}

// serviceNames are those of all configured services.
func (s state) serviceNames() (names []string) {
	for _, svc := range s.config.Services {
		names = append(names, svc.Name)
	}
	return names
}

// service returns the configured service of that name.
func (s state) service(name string) (svc lb.Service, ok bool) {
	for _, svc := range s.config.Services {
		if svc.Name == name {
			return svc, true
		}
	}
	return lb.Service{}, false
}
