package ipvs

import (
	"slices"
	"time"
)

// Round robin. Kernel: net/netfilter/ipvs/ip_vs_rr.c.
//
// The search goes on behind the backend chosen last, wherever that stands now,
// and takes the first one of weight > 0 that is not overloaded; weights mean no
// more than that. Since new backends come first in the list, the newest is
// served first. When the backend chosen last is deleted, the one before it takes
// its place, so the next one is not skipped.
type rr struct {
	last *backend // nil: the head of the list
}

func (r *rr) choose(s *Scheduler, _ Packet, _ time.Duration) *backend {
	n := len(s.backends)
	from := 0
	if r.last != nil {
		from = slices.Index(s.backends, r.last) + 1
	}
	for i := range n {
		if d := s.backends[(from+i)%n]; d.takes() {
			r.last = d
			return d
		}
	}
	return nil
}

func (r *rr) deleted(s *Scheduler, b *backend, i int) {
	if r.last != b {
		return
	}
	r.last = nil
	if i > 0 {
		r.last = s.backends[i-1]
	}
}
