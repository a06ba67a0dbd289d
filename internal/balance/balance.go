// Package balance chooses backends. Each policy is one pure file, named after
// the policy's config word, with its paper or its kernel file on top and its
// invariants in its test.
//
// A policy is a lookup table wherever it can be one: rr and wrr are walked by a
// counter, sh, mh and hash are indexed by a hash of the key. The L4 plane programs
// the very tables that the L7 plane picks from, so a policy's name means one
// thing in both. The others look at what is in flight or at a random word.
//
// Only eligible backends (lb.Backend.Eligible) are ever chosen. What changes from
// request to request lies in words that processes may share (State): a choice
// takes no lock and allocates nothing, and is exact over all processes.
//
// Around the choice: slow start, ejection of outliers (Ejector), retry budgets
// (Budget) and the cookies of sticky sessions (Sticky).
package balance

import (
	"fmt"
	"net/netip"

	"lbctl/internal/lb"
)

// DefaultSize is the table size that New uses for every policy: the prime just
// above 2^16, so that a Maglev table may have it too and shares are precise to
// 1/65537.
const DefaultSize = 65537

// Key is what a choice may depend on. Where each policy looks stands in its file;
// what a policy does not look at may be zero.
type Key struct {
	Src     netip.Addr // the client's
	SrcPort uint16
	Hash    uint64 // of a part of the request, by HashBytes
	Now     int64  // monotonic nanoseconds, as in Member
	Random  uint64 // any 64 random bits, others for each request
}

// Table returns the lookup table of a policy, nil if no backend is eligible.
//
// The tables of rr and wrr are walked by a counter; size is the most slots they
// may have, and they have no more than they need. The tables of sh and mh are
// indexed by Hash(policy, key) mod size, that of hash, which is mh's, by Key.Hash
// mod size; they have exactly size slots, which for mh and hash must be a prime. A backend too light for a slot gets one nevertheless, so
// size must not be less than the number of backends. What precision each policy
// keeps stands in its file.
func Table(policy lb.Policy, backends []lb.Backend, size int) ([]lb.BackendID, error) {
	var fill func([]lb.Backend, int) []lb.BackendID
	switch policy {
	case lb.RoundRobin:
		fill = roundRobin
	case lb.WeightedRoundRobin:
		fill = weightedRoundRobin
	case lb.SourceHash:
		fill = sourceHash
	case lb.Maglev, lb.KeyHash:
		if !isPrime(size) {
			return nil, fmt.Errorf("make %s table of size %d: size must be a prime", policy, size)
		}
		fill = maglev
	case lb.LeastConn, lb.WeightedLeastConn, lb.PowerOfTwo, lb.PeakEWMA, lb.Random, lb.First:
		return nil, fmt.Errorf("make %s table: the policy has no table", policy)
	default:
		return nil, fmt.Errorf("make table: unknown policy %q", policy)
	}
	if size < len(backends) || size < 1 {
		return nil, fmt.Errorf("make %s table of size %d: %d backends do not fit", policy, size, len(backends))
	}
	chosen := eligible(backends)
	if len(chosen) == 0 {
		return nil, nil
	}
	for _, b := range chosen {
		if b.ID == 0 {
			return nil, fmt.Errorf("make %s table: backend %q has no ID", policy, b.Name)
		}
	}
	return fill(backends, size), nil
}

// eligible returns the backends that may be chosen, in the order given.
func eligible(backends []lb.Backend) []lb.Backend {
	out := make([]lb.Backend, 0, len(backends))
	for _, b := range backends {
		if b.Eligible() {
			out = append(out, b)
		}
	}
	return out
}
