package ipvs

import "time"

// Overflow. Kernel: net/netfilter/ipvs/ip_vs_ovf.c.
//
// The heaviest backend that has no more active flows than its weight, so it gets
// weight+1 of them before the next one is asked. When all are full, nobody takes
// anything. UDP has no active flows and never overflows.
type ovf struct{}

func (ovf) choose(s *Scheduler, _ Packet, _ time.Duration) *backend {
	var heaviest *backend
	for _, d := range s.backends {
		if d.takes() && d.active <= d.weight && (heaviest == nil || d.weight > heaviest.weight) {
			heaviest = d
		}
	}
	return heaviest
}
