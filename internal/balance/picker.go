package balance

import (
	"cmp"
	"errors"
	"fmt"
	"sync/atomic"

	"lbctl/internal/lb"
)

// A Picker chooses a backend for each request of a service. It is immutable and
// safe for concurrent use; any number of Pickers may share a State.
type Picker struct {
	tiers  []*tier // backends, backups
	places map[lb.BackendID]*place
}

// New returns a Picker by the policy and over the backends of a service.
func New(s lb.Service, state State) (*Picker, error) {
	p := &Picker{places: map[lb.BackendID]*place{}}
	own := state // and words for those that were not given
	own.Turn = cmp.Or(state.Turn, new(atomic.Uint64))
	members := map[lb.BackendID]Member{}
	for _, b := range s.Backends {
		if b.ID == 0 {
			return nil, fmt.Errorf("new picker %q: backend %q has no ID", s.Policy, b.Name)
		}
		if err := lacks(s, b, state); err != nil {
			return nil, fmt.Errorf("new picker %q: backend %q: %w", s.Policy, b.Name, err)
		}
		members[b.ID] = state.member(b.ID)
		if b.Forwards() && b.Health == lb.Up {
			place := newPlace(b, s, members[b.ID])
			p.places[b.ID] = &place
		}
	}
	own.Member = func(id lb.BackendID) Member { return members[id] }
	for _, backups := range []bool{false, true} {
		t, err := newTier(s, tierOf(s.Backends, backups), own)
		if err != nil {
			return nil, fmt.Errorf("new picker %q: %w", s.Policy, err)
		}
		if t != nil {
			p.tiers = append(p.tiers, t)
		}
	}
	return p, nil
}

// lacks says which word there must be.
func lacks(s lb.Service, b lb.Backend, state State) error {
	bound := s.Policy == lb.KeyHash && s.HTTP.Hash.Bound > 0
	looks := bound || b.MaxConn > 0 || s.Policy == lb.LeastConn || s.Policy == lb.WeightedLeastConn ||
		s.Policy == lb.PowerOfTwo || s.Policy == lb.PeakEWMA
	var m Member
	if state.Member != nil {
		m = state.Member(b.ID)
	}
	switch {
	case looks && m.InFlight == nil:
		return errors.New("no word for what is in flight")
	case s.Policy == lb.PeakEWMA && m.Latency == nil:
		return errors.New("no word for the latency")
	case bound && state.Active == nil:
		return errors.New("no word for the requests of the service")
	case bound && s.HTTP.Hash.Bound < 100:
		return fmt.Errorf("bound of %d %%: want at least 100", s.HTTP.Hash.Bound)
	}
	return nil
}

// tierOf returns the backups, or all others.
func tierOf(backends []lb.Backend, backups bool) []lb.Backend {
	var out []lb.Backend
	for _, b := range backends {
		if b.Backup == backups {
			out = append(out, b)
		}
	}
	return out
}

// Pick chooses a backend that is none of tried, by the policy, and adds one to
// what it has in flight: the caller takes that off when the request has ended. It
// returns 0, false if there is none.
//
// Passed over are backends that are ejected, have MaxConn requests in flight, or
// were tried; backups are chosen, by the same policy, if all others are passed
// over. If everything is, ejections do not count.
func (p *Picker) Pick(k Key, tried []lb.BackendID) (lb.BackendID, bool) {
	c, ok := p.Choose(k, tried)
	return c.ID, ok
}

// Choice is what Choose has chosen, and why.
type Choice struct {
	ID    lb.BackendID
	Moved bool // HashKey.Bound has moved the key: the backend that has it otherwise is full by that, and by that alone
}

// Choose is Pick, and says why.
func (p *Picker) Choose(k Key, tried []lb.BackendID) (c Choice, ok bool) {
	a := ask{Key: k, tried: tried}
	for {
		for _, t := range p.tiers {
			if chosen := t.choose(&a); chosen != nil {
				return Choice{chosen.id, a.moved}, true
			}
		}
		if a.desperate {
			return Choice{}, false
		}
		a.desperate = true
	}
}

// Take adds one to what a backend has in flight, as Pick does, for a client that
// sticks to it. It reports false if the backend is gone, down, disabled, ejected
// at the time now, or at its MaxConn. Draining backends and those of weight 0 keep
// their clients, as with nginx's drain.
func (p *Picker) Take(id lb.BackendID, now int64) bool {
	place := p.places[id]
	if place == nil {
		return false
	}
	a := ask{Key: Key{Now: now}}
	return a.open(place) && place.take(place.limit)
}
