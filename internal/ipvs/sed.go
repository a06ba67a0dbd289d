package ipvs

import "time"

// Shortest expected delay. Kernel: net/netfilter/ipvs/ip_vs_sed.c.
//
// The least (active+1)/weight: the flow that is to come is counted, and inactive
// ones are not. An idle service serves the heaviest backend first.
type sed struct{}

func (sed) choose(s *Scheduler, _ Packet, _ time.Duration) *backend {
	return leastLoaded(s.backends, expected)
}

func expected(d *backend) int32 { return d.active + 1 }
