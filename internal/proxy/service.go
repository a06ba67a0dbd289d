package proxy

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"lbctl/internal/balance"
	"lbctl/internal/lb"
)

// Front is an address that clients connect to. The service behind it changes
// under requests' feet: each reads it once, when its head is there.
type Front struct {
	VIP     netip.AddrPort
	service atomic.Pointer[Service]
	closed  atomic.Bool // takes no further requests
}

// Serve makes requests go by s from now on.
func (f *Front) Serve(s *Service) { f.service.Store(s) }

// Service is the one in force, nil before the first.
func (f *Front) Service() *Service { return f.service.Load() }

// Close makes every answer from now on the last of its connection. Each Core that
// has clients of this front must be told to Drain them.
func (f *Front) Close() { f.closed.Store(true) }

// Service is an L7 service made ready. It is immutable.
type Service struct {
	lb.Service
	Account Account
	Picker  balance.Picker
	Members []*Member
	byID    map[lb.BackendID]*Member
	refs    atomic.Int64 // exchanges that go by it
}

// ServiceKey and BackendKey name accounts.
func ServiceKey(service string) string { return service }

// BackendKey names the account of a backend.
func BackendKey(service string, id lb.BackendID) string { return fmt.Sprintf("%s\x00%d", service, id) }

// InUse reports whether an exchange goes by this service still. It must not be
// asked before the service has been replaced.
func (s *Service) InUse() bool { return s.refs.Load() != 0 }

// Member is a backend of a service.
type Member struct {
	lb.Backend
	Endpoint *Endpoint
}

// Endpoint is what a connection to a backend is made by. A backend whose settings
// stay the same keeps it through every configuration, and with it the
// connections that are open.
type Endpoint struct {
	Settings
	Account Account
}

// Settings make an Endpoint what it is.
type Settings struct {
	Addr netip.AddrPort
	Idle int // connections that a thread keeps; negative: none
}

// NewService makes a service out of its configuration, in which every default is
// filled in, and takes from old, which may be nil, what stays: endpoints and, so
// that no policy starts afresh for nothing, the picker.
func NewService(conf lb.Service, old *Service, accounts Accounts) (*Service, error) {
	s := &Service{Service: conf, Account: accounts(ServiceKey(conf.Name)), byID: map[lb.BackendID]*Member{}}
	for _, b := range conf.Backends {
		account := accounts(BackendKey(conf.Name, b.ID))
		m := &Member{Backend: b, Endpoint: endpoint(b, conf.HTTP, account, old.Member(b.ID))}
		s.Members, s.byID[b.ID] = append(s.Members, m), m
	}
	if old != nil && old.Policy == conf.Policy && slices.EqualFunc(old.Backends, conf.Backends, samePick) {
		s.Picker = old.Picker
		return s, nil
	}
	var err error
	s.Picker, err = balance.New(conf.Policy, conf.Backends, s.inFlight)
	return s, err
}

// Member finds a backend, nil if there is none or no service.
func (s *Service) Member(id lb.BackendID) *Member {
	if s == nil {
		return nil
	}
	return s.byID[id]
}

func endpoint(b lb.Backend, h lb.HTTP, account Account, old *Member) *Endpoint {
	e := &Endpoint{Settings: Settings{Addr: b.Addr, Idle: h.IdleConns}, Account: account}
	if old != nil && *old.Endpoint == *e {
		return old.Endpoint
	}
	return e
}

// samePick reports whether two backends are the same to a policy.
func samePick(a, b lb.Backend) bool {
	return a.ID == b.ID && a.Addr == b.Addr && a.Weight == b.Weight && a.Eligible() == b.Eligible()
}

// inFlight is the balance.Load of a service. A picker that outlives its service
// still finds the accounts right, since a backend keeps them.
func (s *Service) inFlight(id lb.BackendID) uint64 { return s.byID[id].Endpoint.Account.InFlight() }

// choose picks a member that was not tried: the policy's choice or, where the
// policy insists on one that was, the next eligible in service order.
func (s *Service) choose(key balance.Key, tried []lb.BackendID) *Member {
	for range len(tried) + 1 {
		id, ok := s.Picker.Pick(key)
		if !ok {
			return nil
		}
		if !slices.Contains(tried, id) {
			return s.byID[id]
		}
	}
	last := slices.IndexFunc(s.Members, func(m *Member) bool { return m.ID == tried[len(tried)-1] })
	for i := range s.Members {
		m := s.Members[(last+1+i)%len(s.Members)]
		if m.Eligible() && !slices.Contains(tried, m.ID) {
			return m
		}
	}
	return nil
}
