package balance

import (
	"cmp"
	"sync/atomic"

	"lbctl/internal/lb"
)

// State is all that the choices of a service change and depend on, in words that
// the caller keeps. Where they lie in memory shared by processes, every policy
// is as exact over all of them as it is in one: a Picker has no other state.
//
// Zero words are where everything begins. A word that is nil is the Picker's
// own; New refuses that of words that the service cannot do without.
type State struct {
	Turn     *atomic.Uint64               // where round robin stands
	Active   *atomic.Int64                // requests of the service in flight, the one to pick for included; the caller counts them. For HashKey.Bound
	Ejecting *atomic.Uint64               // the last ejection, for Ejector
	Member   func(id lb.BackendID) Member // called by New and NewEjector only
}

// Member are the words of one backend. Times are nanoseconds of one monotonic
// clock, the same for all processes (CLOCK_MONOTONIC).
type Member struct {
	InFlight     *atomic.Int64  // requests; Pick and Take add one, the caller takes it off at the request's end
	Latency      *atomic.Uint64 // see Observe
	Outcomes     *atomic.Uint64 // see Ejector
	EjectedUntil *atomic.Int64  // takes nothing new before; written by Ejector
	UpSince      *atomic.Int64  // when it came up, for slow start; written by the caller
}

// Words has room for the words of a backend, in a cache line of their own if it
// is aligned to its size.
type Words struct {
	inFlight     atomic.Int64
	latency      atomic.Uint64
	outcomes     atomic.Uint64
	ejectedUntil atomic.Int64
	upSince      atomic.Int64
	_            [3]uint64
}

// Member returns the words as New wants them.
func (w *Words) Member() Member {
	return Member{&w.inFlight, &w.latency, &w.outcomes, &w.ejectedUntil, &w.upSince}
}

// member returns the words of a backend, none of them nil.
func (s State) member(id lb.BackendID) Member {
	var given Member
	if s.Member != nil {
		given = s.Member(id)
	}
	own := new(Words).Member()
	return Member{
		InFlight: cmp.Or(given.InFlight, own.InFlight), Latency: cmp.Or(given.Latency, own.Latency),
		Outcomes: cmp.Or(given.Outcomes, own.Outcomes), EjectedUntil: cmp.Or(given.EjectedUntil, own.EjectedUntil),
		UpSince: cmp.Or(given.UpSince, own.UpSince),
	}
}
