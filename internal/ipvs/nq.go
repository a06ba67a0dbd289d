package ipvs

import "time"

// Never queue. Kernel: net/netfilter/ipvs/ip_vs_nq.c.
//
// The first backend in the list without an active flow, else as sed.
type nq struct{}

func (nq) choose(s *Scheduler, _ Packet, _ time.Duration) *backend {
	for _, d := range s.backends {
		if d.takes() && d.active == 0 {
			return d
		}
	}
	return leastLoaded(s.backends, expected)
}
