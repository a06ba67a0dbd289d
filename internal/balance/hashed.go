package balance

import (
	"sync/atomic"

	"lbctl/internal/lb"
)

// hashed is a table indexed by the key's hash: sh, mh and hash.
//
// If the backend of a key is not open, the hash is hashed again, as by the
// kernel's sh-fallback: the keys of that backend spread over the others by
// weight, each always to the same one, and come back; no other key moves. After
// mostDraws of these one is drawn, by the hash, among the open ones alone.
type hashed struct {
	policy lb.Policy
	places []place
	table  []uint32
	bound  *bound        // nil: none
	active *atomic.Int64 // of the service
}

func (h *hashed) choose(a *ask) *place {
	if h.bound != nil {
		if p := h.find(a, h.active.Load()); p != nil {
			return p
		}
		a.moved = false
	}
	return h.find(a, -1)
}

// find takes the first place for the key that is open and has room; -1 requests
// in the service know no bound.
func (h *hashed) find(a *ask, requests int64) *place {
	x := a.Hash
	if h.policy != lb.KeyHash {
		x = uint64(Hash(h.policy, a.Key))
	}
	for range mostDraws {
		i := h.table[x%uint64(len(h.table))]
		if p := &h.places[i]; a.open(p) {
			if p.take(h.room(int(i), requests)) {
				return p
			}
			a.moved = requests >= 0
		}
		x = mix(x + golden)
	}
	for {
		i := among(len(h.places), x, func(i int) uint64 {
			p := &h.places[i]
			if !a.open(p) || p.InFlight.Load() >= h.room(i, requests) {
				return 0
			}
			return p.weight
		})
		if i < 0 {
			return nil
		}
		if p := &h.places[i]; p.take(h.room(i, requests)) {
			return p
		}
	}
}

// room is what a place may have in flight.
func (h *hashed) room(i int, requests int64) int64 {
	p := &h.places[i]
	if requests < 0 {
		return p.limit
	}
	return min(p.limit, h.bound.of(i, requests))
}
