package ipvs

import "time"

// Weighted failover. Kernel: net/netfilter/ipvs/ip_vs_fo.c.
//
// The heaviest backend that is not overloaded; among equals the first in the
// list.
type fo struct{}

func (fo) choose(s *Scheduler, _ Packet, _ time.Duration) *backend {
	var heaviest *backend
	for _, d := range s.backends {
		if d.takes() && (heaviest == nil || d.weight > heaviest.weight) {
			heaviest = d
		}
	}
	return heaviest
}
