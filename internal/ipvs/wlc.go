package ipvs

import "time"

// Weighted least connections. Kernel: net/netfilter/ipvs/ip_vs_wlc.c.
//
// The least (256*active+inactive)/weight; among equals the first in the list.
// So an idle service serves the newest backend first, whatever the weights.
type wlc struct{}

func (wlc) choose(s *Scheduler, _ Packet, _ time.Duration) *backend {
	return leastLoaded(s.backends, (*backend).overhead)
}

// leastLoaded returns the first backend of the least load per weight among those
// that take something new.
func leastLoaded(backends []*backend, load func(*backend) int32) *backend {
	var least *backend
	for _, d := range backends {
		if d.takes() && (least == nil || lighter(d, least, load)) {
			least = d
		}
	}
	return least
}

// lighter compares load per weight without a division.
func lighter(a, b *backend, load func(*backend) int32) bool {
	return int64(load(a))*int64(b.weight) < int64(load(b))*int64(a.weight)
}
