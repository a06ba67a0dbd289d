package balance

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"slices"

	"lbctl/internal/lb"
)

// Maglev hashing. D. Eisenbud et al., "Maglev: A Fast and Reliable Software
// Network Load Balancer", NSDI 2016, section 3.4. Kernel:
// net/netfilter/ipvs/ip_vs_mh.c.
//
// Each backend has a preference list of all slots, a permutation made from its
// address, so the table is the same after every restart and whatever the order
// of backends. Backends take turns; at its turn a backend takes the first slot
// on its list that is still free.
//
// A backend of weight w takes its k-th turn (k = 0, 1, …) at time k/w, ties in
// order of address. For equal weights these are the paper's rounds. Otherwise it
// is w turns per round as in ip_vs_mh.c and katran, but evenly spread, not in a
// burst: weights of any size need no scaling, a removed backend leaves the order
// of the others' turns as it was, and every backend has at least one slot. A
// backend has less than one slot more than the weights say; these surpluses of
// light backends come from all in proportion, at most (backends-1)/size together.
func maglev(backends []lb.Backend, size int) []lb.BackendID {
	turns := make(turnQueue, 0, len(backends))
	for _, b := range eligible(backends) {
		turns = append(turns, newTurn(b, uint64(size)))
	}
	slices.SortFunc(turns, func(a, b *turn) int {
		return cmp.Or(a.addr.Compare(b.addr), cmp.Compare(a.id, b.id))
	})
	for i, t := range turns {
		t.rank = i
	}
	table := make([]lb.BackendID, size)
	for range size { // sorted and all at time 0, turns is a heap already
		t := turns[0]
		for table[t.slot] != 0 {
			t.advance(uint64(size))
		}
		table[t.slot] = t.id
		t.taken++
		heap.Fix(&turns, 0)
	}
	return table
}

// newTurn places a backend at the start of its preference list:
// slot(j) = (offset + j*skip) mod size.
func newTurn(b lb.Backend, size uint64) *turn {
	a := b.Addr.Addr().As16()
	port := uint64(b.Addr.Port())
	hi, lo := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	h1 := mix(mix(mix(hi)^lo) ^ port)
	h2 := mix(h1 ^ 0x9e3779b97f4a7c15) // the golden ratio: any constant separates the two
	return &turn{
		id: b.ID, addr: b.Addr, weight: uint64(b.Weight),
		slot: h1 % size,
		skip: h2%max(size-1, 1) + 1,
	}
}
