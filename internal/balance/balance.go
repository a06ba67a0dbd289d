// Package balance chooses backends. Each policy is one pure file, named after
// the policy's config word, with its paper or its kernel file on top and its
// invariants in its test.
//
// A policy is a lookup table wherever it can be one: rr and wrr are walked by a
// counter, sh and mh are indexed by a hash of the key. The L4 plane programs
// the very tables that the L7 plane picks from, so a policy's name means one
// thing in both. lc and wlc look at what is in flight and have no table.
//
// Only eligible backends (lb.Backend.Eligible) are ever chosen.
package balance

import (
	"fmt"
	"net/netip"
	"sync/atomic"

	"lbctl/internal/lb"
)

// DefaultSize is the table size that New uses for every policy: the prime just
// above 2^16, so that a Maglev table may have it too and shares are precise to
// 1/65537.
const DefaultSize = 65537

// Key is what a choice may depend on: the client's address and port.
type Key struct {
	Src     netip.Addr
	SrcPort uint16
}

// A Picker chooses a backend for something new. It is safe for concurrent use,
// takes no lock and allocates nothing. Pick returns 0, false if no backend is
// eligible.
type Picker interface {
	Pick(Key) (lb.BackendID, bool)
}

// Load returns the requests or flows that a backend has in flight. lc and wlc
// call it for every eligible backend on each Pick, so it must be quick, safe
// for concurrent use, and free of allocations.
type Load func(lb.BackendID) uint64

// New returns a Picker over the eligible ones of backends, in service order.
// load is needed by lc and wlc only.
func New(policy lb.Policy, backends []lb.Backend, load Load) (Picker, error) {
	switch policy {
	case lb.LeastConn, lb.WeightedLeastConn:
		if load == nil {
			return nil, fmt.Errorf("new picker %q: no load function", policy)
		}
		return newLeastLoaded(policy, backends, load)
	}
	table, err := Table(policy, backends, DefaultSize)
	if err != nil {
		return nil, err
	}
	switch policy {
	case lb.RoundRobin, lb.WeightedRoundRobin:
		return &walked{table: table}, nil
	default:
		return &hashed{table: table, policy: policy}, nil
	}
}

// Table returns the lookup table of a policy, nil if no backend is eligible.
//
// The tables of rr and wrr are walked by a counter; size is the most slots they
// may have, and they have no more than they need. The tables of sh and mh are
// indexed by Hash(policy, key) mod size and have exactly size slots, which for
// mh must be a prime. A backend too light for a slot gets one nevertheless, so
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
	case lb.Maglev:
		if !isPrime(size) {
			return nil, fmt.Errorf("make %s table of size %d: size must be a prime", policy, size)
		}
		fill = maglev
	case lb.LeastConn, lb.WeightedLeastConn:
		return nil, fmt.Errorf("make %s table: the policy follows the load and has no table", policy)
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

// walked is a table with a counter: rr and wrr.
type walked struct {
	table []lb.BackendID
	next  atomic.Uint64
}

func (w *walked) Pick(Key) (lb.BackendID, bool) {
	if len(w.table) == 0 {
		return 0, false
	}
	i := w.next.Add(1) - 1
	return w.table[i%uint64(len(w.table))], true
}

// hashed is a table indexed by the key's hash: sh and mh.
type hashed struct {
	table  []lb.BackendID
	policy lb.Policy
}

func (h *hashed) Pick(k Key) (lb.BackendID, bool) {
	if len(h.table) == 0 {
		return 0, false
	}
	return h.table[Hash(h.policy, k)%uint32(len(h.table))], true
}
