// Package ipvs models the schedulers of Linux's IP Virtual Server: for the same
// events they make the same choices as the kernel's. They are written from what
// net/netfilter/ipvs/*.c does, quirks included, and are no good as policies of
// their own (internal/balance has those): they exist to be compared with.
// internal/lvsguest compares them, choice by choice, with a real kernel, Debian
// 12's 6.1.192 with the fixes of 2026; what no kernel has confirmed says so.
//
// A Scheduler is one virtual service. It is not safe for concurrent use.
package ipvs

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"
)

// Errors of Add, Edit, Delete and Open. The kernel answers EEXIST, ENOENT, and
// ERANGE or EINVAL.
var (
	ErrExists   = errors.New("backend exists already")
	ErrNotFound = errors.New("no such backend")
	ErrRange    = errors.New("value out of range")
)

// Backend is what is told of a backend when it is added or edited.
type Backend struct {
	Addr   netip.AddrPort
	Weight uint32 // at most 2^31-1; 0: takes nothing new
	Upper  uint32 // flows at which it is overloaded, at most 2^31-1; 0: never
	Lower  uint32 // flows below which it no longer is; 0: three quarters of Upper
}

// State is a backend with what the scheduler sees of it.
type State struct {
	Backend
	Active, Inactive int
	Overloaded       bool
}

// Packet is what a choice may depend on: the first packet of a flow, as the
// balancer receives it. Only sh and mh look at the source port, and only dh,
// lblc and lblcr at the destination (a fwmark service has many).
type Packet struct {
	Src, Dst netip.AddrPort
}

// Options are the flags of a service and what else a scheduler depends on.
type Options struct {
	Port     bool // sh-port, mh-port: hash the source port too
	Fallback bool // sh-fallback, mh-fallback: hash on if the first choice takes nothing

	// Expiration is net.ipv4.vs.lblc_expiration and lblcr_expiration, 0 for the
	// kernel's 24 hours.
	Expiration time.Duration

	// Rand returns a number in [0, n), each as likely. Only twos needs it, two
	// numbers for each choice.
	Rand func(n uint32) uint32
}

// Names are the schedulers that New knows.
func Names() []string {
	return []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "fo", "ovf", "twos"}
}

// New returns the scheduler of a service that has no backends yet.
func New(name string, o Options) (*Scheduler, error) {
	if o.Expiration == 0 {
		o.Expiration = 24 * time.Hour
	}
	s := &Scheduler{options: o, trash: map[netip.AddrPort]*backend{}}
	switch name {
	case "rr":
		s.policy = &rr{}
	case "wrr":
		s.policy = newWRR()
	case "lc":
		s.policy = lc{}
	case "wlc":
		s.policy = wlc{}
	case "lblc":
		s.policy = newLBLC()
	case "lblcr":
		s.policy = newLBLCR()
	case "dh":
		s.policy = &dh{}
	case "sh":
		s.policy = &sh{}
	case "mh":
		s.policy = &mh{}
	case "sed":
		s.policy = sed{}
	case "nq":
		s.policy = nq{}
	case "fo":
		s.policy = fo{}
	case "ovf":
		s.policy = ovf{}
	case "twos":
		if o.Rand == nil {
			return nil, errors.New("new scheduler twos: no random source")
		}
		s.policy = twos{}
	default:
		return nil, fmt.Errorf("new scheduler %q: unknown", name)
	}
	return s, nil
}

// Scheduler is the scheduler of one service, its backends and their counters.
type Scheduler struct {
	options  Options
	policy   policy
	backends []*backend // in the kernel's order: the last one added comes first
	trash    map[netip.AddrPort]*backend
}

// policy is what a file ip_vs_NAME.c supplies.
type policy interface {
	// choose returns nil if no backend takes something new.
	choose(s *Scheduler, p Packet, now time.Duration) *backend
}

// A changer hears of each backend added, edited or deleted, after it happened.
type changer interface {
	changed(s *Scheduler)
}

// A deleter hears that b, which was at s.backends[i], has gone.
type deleter interface {
	deleted(s *Scheduler, b *backend, i int)
}

// backend is the kernel's struct ip_vs_dest. It lives on while flows or caches
// refer to it, also when it is no member any more.
type backend struct {
	addr             netip.AddrPort
	weight           int32
	lastWeight       int32 // the last weight that was not 0, for mh
	upper, lower     uint32
	active, inactive int32
	overloaded       bool
	available        bool // a member of the service
}

// Add adds a backend, in front of all others. One that was deleted and comes
// back finds its flows, its counters and its place in caches again.
func (s *Scheduler) Add(b Backend) error {
	if err := valid(b); err != nil {
		return fmt.Errorf("add backend %s: %w", b.Addr, err)
	}
	if s.find(b.Addr) >= 0 {
		return fmt.Errorf("add backend %s: %w", b.Addr, ErrExists)
	}
	d, known := s.trash[b.Addr]
	if !known {
		d = &backend{addr: b.Addr}
	}
	delete(s.trash, b.Addr)
	d.lastWeight = int32(b.Weight)
	d.update(b)
	s.backends = slices.Insert(s.backends, 0, d)
	s.tellChanged()
	return nil
}

// Edit gives a backend another weight and other thresholds.
func (s *Scheduler) Edit(b Backend) error {
	if err := valid(b); err != nil {
		return fmt.Errorf("edit backend %s: %w", b.Addr, err)
	}
	i := s.find(b.Addr)
	if i < 0 {
		return fmt.Errorf("edit backend %s: %w", b.Addr, ErrNotFound)
	}
	if b.Weight != 0 {
		s.backends[i].lastWeight = int32(b.Weight)
	}
	s.backends[i].update(b)
	s.tellChanged()
	return nil
}

// Delete takes a backend out of the service. Its flows stay.
func (s *Scheduler) Delete(addr netip.AddrPort) error {
	i := s.find(addr)
	if i < 0 {
		return fmt.Errorf("delete backend %s: %w", addr, ErrNotFound)
	}
	d := s.backends[i]
	d.available = false
	s.backends = slices.Delete(s.backends, i, i+1)
	// The kernel keeps it until 120 s after the last reference has gone; by then
	// its counters are 0 and it is not overloaded, like one newly made.
	s.trash[addr] = d
	if del, ok := s.policy.(deleter); ok {
		del.deleted(s, d, i)
	}
	s.tellChanged()
	return nil
}

// Backends returns the members in the kernel's order, the last one added first.
func (s *Scheduler) Backends() []State {
	states := make([]State, len(s.backends))
	for i, d := range s.backends {
		states[i] = State{
			Backend: Backend{Addr: d.addr, Weight: uint32(d.weight), Upper: d.upper, Lower: d.lower},
			Active:  int(d.active), Inactive: int(d.inactive), Overloaded: d.overloaded,
		}
	}
	return states
}

// Schedule chooses a backend for the first packet of a flow, false if none
// takes anything new. now is the time since the service was made and must not
// decrease. Schedule counts nothing: Open does.
func (s *Scheduler) Schedule(p Packet, now time.Duration) (netip.AddrPort, bool) {
	d := s.policy.choose(s, p, now)
	if d == nil {
		return netip.AddrPort{}, false
	}
	return d.addr, true
}

func (s *Scheduler) tellChanged() {
	if c, ok := s.policy.(changer); ok {
		c.changed(s)
	}
}

func (s *Scheduler) find(addr netip.AddrPort) int {
	return slices.IndexFunc(s.backends, func(d *backend) bool { return d.addr == addr })
}

func valid(b Backend) error {
	if b.Weight > math.MaxInt32 {
		return fmt.Errorf("weight %d: %w", b.Weight, ErrRange)
	}
	if b.Upper > math.MaxInt32 {
		return fmt.Errorf("upper threshold %d: %w", b.Upper, ErrRange)
	}
	if b.Lower > b.Upper {
		return fmt.Errorf("lower threshold %d above upper %d: %w", b.Lower, b.Upper, ErrRange)
	}
	return nil
}
