package ipvs

import (
	"fmt"
	"net/netip"
)

// Member is a backend as the tables of dh, sh and mh see it.
type Member struct {
	Addr       netip.AddrPort
	Weight     uint32
	PastWeight uint32 // the last weight that was not 0, which mh goes by
}

// MaxMembers is how many members mh's table has room for.
const MaxMembers = mhSize

// Table returns the buckets of dh, sh or mh over members in the kernel's order,
// the newest first: for each bucket the index of its member, nil if none has any.
// Two members must not have the same address.
func Table(name string, members []Member) ([]int, error) {
	s := &Scheduler{}
	index := map[*backend]int{}
	for i, m := range members {
		d := &backend{addr: m.Addr, weight: int32(m.Weight), lastWeight: int32(m.PastWeight)}
		s.backends, index[d] = append(s.backends, d), i
	}
	var buckets []*backend
	switch name {
	case "dh":
		h := &dh{}
		h.changed(s)
		buckets = h.buckets[:]
	case "sh":
		h := &sh{}
		h.changed(s)
		buckets = h.buckets[:]
	case "mh":
		if len(members) > MaxMembers {
			return nil, fmt.Errorf("make %s table: %d members, want at most %d", name, len(members), MaxMembers)
		}
		h := &mh{}
		h.changed(s)
		buckets = h.table
	default:
		return nil, fmt.Errorf("make %s table: the scheduler has none", name)
	}
	if len(members) == 0 || len(buckets) == 0 {
		return nil, nil
	}
	table := make([]int, len(buckets))
	for i, d := range buckets {
		table[i] = index[d]
	}
	return table, nil
}

// Levels are wrr's: a member is served on those that its weight reaches.
type Levels struct {
	Now  uint32 // the level of the walk; 0: none so far
	Most uint32 // the first one
	Step uint32 // from one to the next
}

// LevelsAfter returns wrr's levels after a change of its members to these, if the
// walk was on level now. The walk goes on from the head of the list.
func LevelsAfter(now uint32, members []Member) Levels {
	s := &Scheduler{}
	for _, m := range members {
		s.backends = append(s.backends, &backend{weight: int32(m.Weight)})
	}
	w := newWRR()
	w.level = int32(now)
	w.changed(s)
	return Levels{Now: uint32(w.level), Most: uint32(w.most), Step: uint32(w.step)}
}
