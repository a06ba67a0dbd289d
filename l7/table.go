package l7

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"lbctl/internal/balance"
	"lbctl/internal/lb"
)

// table is a snapshot made ready to serve. It is immutable; every request reads
// one.
type table struct {
	snapshot lb.Snapshot
	services []*service
	byVIP    map[netip.AddrPort]*service
}

// service is one L7 service of a table.
type service struct {
	lb.Service
	counters *counters
	turn     *atomic.Uint64 // of the picker, as old as the service
	picker   *balance.Picker
	members  []*member
	byID     map[lb.BackendID]*member
}

// member is a backend of a service. Its pool and counters are older than the
// table if the backend is.
type member struct {
	lb.Backend
	counters *counters
	pool     *pool
}

// newTable builds the table of a snapshot, taking over from old what stays:
// counters, pools, the turn and, for making a table takes a while, pickers.
// It touches nothing that old uses.
func newTable(s lb.Snapshot, old *table) (*table, error) {
	t := &table{snapshot: s, byVIP: map[netip.AddrPort]*service{}}
	names := map[string]bool{}
	for _, conf := range s.Services {
		if conf.Plane != lb.L7 {
			continue
		}
		if err := validate(conf); err != nil {
			return nil, fmt.Errorf("service %s: %w", conf.Name, err)
		}
		if names[conf.Name] {
			return nil, fmt.Errorf("service %s: configured twice", conf.Name)
		}
		if other := t.byVIP[conf.VIP.Addr]; other != nil {
			return nil, fmt.Errorf("service %s: address %s is that of service %s", conf.Name, conf.VIP.Addr, other.Name)
		}
		svc, err := newService(conf, old.service(conf.Name))
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", conf.Name, err)
		}
		names[conf.Name] = true
		t.services = append(t.services, svc)
		t.byVIP[conf.VIP.Addr] = svc
	}
	return t, nil
}

func validate(s lb.Service) error {
	if s.VIP.Proto != lb.TCP {
		return fmt.Errorf("protocol %q: l7 speaks tcp only", s.VIP.Proto)
	}
	if !s.VIP.Addr.IsValid() {
		return fmt.Errorf("no address")
	}
	ids := map[lb.BackendID]bool{}
	for _, b := range s.Backends {
		if b.ID == 0 || ids[b.ID] {
			return fmt.Errorf("backend %s: ID %d is taken or none", b.Name, b.ID)
		}
		if !b.Addr.IsValid() || b.Addr.Port() == 0 {
			return fmt.Errorf("backend %s: address %s: no address and port", b.Name, b.Addr)
		}
		ids[b.ID] = true
	}
	return nil
}

func newService(conf lb.Service, old *service) (*service, error) {
	conf.HTTP = withDefaults(conf.HTTP)
	s := &service{Service: conf, counters: &counters{}, turn: new(atomic.Uint64), byID: map[lb.BackendID]*member{}}
	if old != nil {
		s.counters, s.turn = old.counters, old.turn
	}
	for _, b := range conf.Backends {
		m := newMember(b, conf.HTTP, old.member(b.ID))
		s.members = append(s.members, m)
		s.byID[b.ID] = m
	}
	if old != nil && old.Policy == conf.Policy && old.HTTP == conf.HTTP && slices.EqualFunc(old.Backends, conf.Backends, samePick) {
		s.picker = old.picker
		return s, nil
	}
	var err error
	s.picker, err = balance.New(conf, balance.State{Turn: s.turn, Active: &s.counters.active, Member: s.words})
	return s, err
}

// samePick reports whether two backends are the same to a picker.
func samePick(a, b lb.Backend) bool {
	a.Name = b.Name
	return a == b
}

// words are the balance.State of a backend, as old as its counters.
func (s *service) words(id lb.BackendID) balance.Member {
	return balance.Member{InFlight: &s.byID[id].counters.active}
}

func newMember(b lb.Backend, h lb.HTTP, old *member) *member {
	m := &member{Backend: b}
	settings := settingsOf(b, h)
	switch {
	case old == nil:
		m.counters = &counters{}
	case old.pool.poolSettings == settings:
		m.counters, m.pool = old.counters, old.pool
		return m
	default:
		m.counters = old.counters
	}
	m.pool = newPool(settings, m.counters)
	return m
}

func (t *table) service(name string) *service {
	for _, s := range t.services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

func (s *service) member(id lb.BackendID) *member {
	if s == nil {
		return nil
	}
	return s.byID[id]
}

// wake readies the pools of eligible backends. It must be called before the
// table comes into force.
func (t *table) wake() {
	for _, s := range t.services {
		for _, m := range s.members {
			if m.Eligible() {
				m.pool.wake()
			}
		}
	}
}

// settle hushes, after the table has come into force, the pools of backends that
// take nothing new and those that only old had, and cuts off disabled backends,
// which keep nothing.
func (t *table) settle(old *table) {
	kept := map[*pool]bool{}
	for _, s := range t.services {
		for _, m := range s.members {
			kept[m.pool] = true
			if !m.Eligible() {
				m.pool.hush()
			}
			if m.Admin == lb.Disabled {
				m.pool.cut()
			}
		}
	}
	for _, s := range old.services {
		for _, m := range s.members {
			if !kept[m.pool] {
				m.pool.hush()
			}
		}
	}
}

// stats reads every counter.
func (t *table) stats() []lb.ServiceStats {
	out := make([]lb.ServiceStats, 0, len(t.services))
	for _, s := range t.services {
		ss := lb.ServiceStats{Name: s.Name, Counters: s.counters.read(), Backends: make([]lb.BackendStats, 0, len(s.members))}
		for _, m := range s.members {
			ss.Backends = append(ss.Backends, lb.BackendStats{ID: m.ID, Name: m.Name, Counters: m.counters.read()})
		}
		out = append(out, ss)
	}
	return out
}
