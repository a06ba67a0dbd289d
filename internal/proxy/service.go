package proxy

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/balance"
	"lbctl/internal/http1"
	"lbctl/internal/lb"
)

// Front is an address that clients connect to. The service behind it changes
// under requests' feet: each reads it once, when its head is there.
type Front struct {
	VIP     netip.AddrPort
	service atomic.Pointer[Service]
	closed  atomic.Bool // takes no further requests
	clients atomic.Int64
}

// Serve makes requests go by s from now on.
func (f *Front) Serve(s *Service) { f.service.Store(s) }

// Service is the one in force, nil before the first.
func (f *Front) Service() *Service { return f.service.Load() }

// Close makes every answer from now on the last of its connection. Each Core that
// has clients of this front must be told to Drain them.
func (f *Front) Close() { f.closed.Store(true) }

// Clients is how many connections clients have here, also those between two Cores.
func (f *Front) Clients() int { return int(f.clients.Load()) }

// Lose tells of a client whose connection was closed between two Cores.
func (f *Front) Lose() { f.clients.Add(-1) }

// Service is an L7 service made ready. It is immutable.
type Service struct {
	lb.Service
	Account Account
	Log     Log // nil: none; to be set before the service is in force
	Members []*Member
	byID    map[lb.BackendID]*Member
	picker  *balance.Picker
	ejector *balance.Ejector
	budget  balance.Budget
	routes  []route
	sticky  sticky
	cookies []string // names of the sticky ones that clients have from here, its own and its routes'
	limits  http1.Limits
	queues  bool         // its backends may all be at their MaxConn
	sole    bool         // no two members are eligible
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
	host     []byte // its address, as Host has it
}

// Endpoint is what a connection to a backend is made by. A backend whose settings
// stay the same keeps it through every configuration, and with it the
// connections that are open.
type Endpoint struct {
	Settings
	Account Account
	kept    atomic.Int64 // connections that no request is on, of all threads
}

// keep counts one more connection as kept, if it may be.
func (e *Endpoint) keep() bool {
	if e.kept.Add(1) > int64(e.Idle) {
		e.kept.Add(-1)
		return false
	}
	return true
}

// Settings make an Endpoint what it is.
type Settings struct {
	Addr netip.AddrPort
	Idle int // connections that a process keeps; negative: none

	IdleTime time.Duration // how long one is kept without a request
	MaxAge   time.Duration // since it was made, how long one is kept
}

// NewService makes a service out of its configuration, in which every default is
// filled in, and takes from old, which may be nil, what stays: endpoints and,
// since making a table takes a while, the picker. It must be linked before it is in force.
func NewService(conf lb.Service, old *Service, accounts Accounts) (*Service, error) {
	conf.HTTP = derived(conf.HTTP)
	s := &Service{Service: conf, Account: accounts(ServiceKey(conf.Name)), byID: map[lb.BackendID]*Member{}}
	eligible := 0
	for _, b := range conf.Backends {
		if b.Eligible() {
			eligible++
		}
		account := accounts(BackendKey(conf.Name, b.ID))
		m := &Member{Backend: b, Endpoint: endpoint(b, conf.HTTP, account, old.Member(b.ID)), host: hostOf(b.Addr)}
		s.Members, s.byID[b.ID] = append(s.Members, m), m
	}
	s.sole = eligible < 2
	if old != nil && old.Account == s.Account && old.Policy == conf.Policy && sameChoice(old.HTTP, conf.HTTP) && slices.EqualFunc(old.Backends, conf.Backends, samePick) {
		s.picker, s.ejector = old.picker, old.ejector
	} else if err := s.judge(); err != nil {
		return nil, err
	}
	s.budget = balance.NewBudget(conf.HTTP.RetryBudget, &s.Account.Shared().Budget)
	return s, s.prepare()
}

// derived fills in defaults that are others' business.
func derived(h lb.HTTP) lb.HTTP {
	h.ResponseBuffer = cmp.Or(h.ResponseBuffer, maxAhead)
	h.Queue.Timeout = cmp.Or(h.Queue.Timeout, h.ConnectTimeout)
	h.Limits.Line = cmp.Or(h.Limits.Line, http1.DefaultLimits.Line)
	h.Limits.Head = cmp.Or(h.Limits.Head, http1.DefaultLimits.Head)
	h.Limits.Fields = cmp.Or(h.Limits.Fields, http1.DefaultLimits.Fields)
	return h
}

// prepare makes ready what requests are treated by.
func (s *Service) prepare() (err error) {
	s.limits = http1.Limits(s.HTTP.Limits)
	s.queues = s.HTTP.Queue.Length > 0 && canFill(s.Backends)
	for i, conf := range s.Routes {
		r, err := newRoute(conf)
		if err != nil {
			return fmt.Errorf("route %d: %w", i+1, err)
		}
		r.number = i + 1
		s.routes = append(s.routes, r)
	}
	s.sticky, err = newSticky(s.Service)
	return err
}

// hostOf is an address as Host has it (RFC 9110, section 7.2).
func hostOf(a netip.AddrPort) []byte {
	if a.Port() != 80 {
		return a.AppendTo(nil)
	}
	return bytes.TrimSuffix(a.AppendTo(nil), []byte(":80"))
}

// judge makes what chooses backends, and what ejects them.
func (s *Service) judge() (err error) {
	shared := s.Account.Shared()
	state := balance.State{
		Turn: &shared.Turn, Active: &shared.InFlight, Ejecting: &shared.Ejecting,
		Member: func(id lb.BackendID) balance.Member { return s.byID[id].Endpoint.Account.words() },
	}
	if s.picker, err = balance.New(s.Service, state); err != nil {
		return err
	}
	s.ejector, err = balance.NewEjector(s.Service, state)
	return err
}

// Member finds a backend, nil if there is none or no service.
func (s *Service) Member(id lb.BackendID) *Member {
	if s == nil {
		return nil
	}
	return s.byID[id]
}

func endpoint(b lb.Backend, h lb.HTTP, account Account, old *Member) *Endpoint {
	e := &Endpoint{Settings: Settings{Addr: b.Addr, Idle: h.IdleConns, IdleTime: h.IdleConnTimeout, MaxAge: h.IdleConnMaxAge}, Account: account}
	if old != nil && old.Endpoint.Settings == e.Settings && old.Endpoint.Account == e.Account {
		return old.Endpoint
	}
	return e
}

// sameChoice reports whether two settings are the same to a picker, an ejector
// and a budget.
func sameChoice(a, b lb.HTTP) bool {
	a.AccessLog = b.AccessLog
	return a == b
}

// samePick reports whether two backends are the same to a picker.
func samePick(a, b lb.Backend) bool {
	a.Name = b.Name
	return a == b
}

// pick chooses a member that was not tried, and counts a request in flight there
// among those of all processes. It says why it is this one, as far as the policy goes.
func (s *Service) pick(key balance.Key, tried []lb.BackendID) (*Member, accesslog.Why) {
	c, ok := s.picker.Choose(key, tried)
	switch {
	case !ok:
		return nil, accesslog.NoBackend
	case c.Moved:
		return s.byID[c.ID], accesslog.Bound
	}
	return s.byID[c.ID], accesslog.ByPolicy
}
