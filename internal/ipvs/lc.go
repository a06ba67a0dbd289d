package ipvs

import "time"

// Least connections. Kernel: net/netfilter/ipvs/ip_vs_lc.c.
//
// The least 256*active+inactive among backends of weight > 0; among equals the
// first in the list, the newest.
type lc struct{}

func (lc) choose(s *Scheduler, _ Packet, _ time.Duration) *backend {
	var least *backend
	for _, d := range s.backends {
		if d.takes() && (least == nil || uint32(d.overhead()) < uint32(least.overhead())) {
			least = d
		}
	}
	return least
}
