package balance

import "lbctl/internal/lb"

// Weighted least connections. Kernel: net/netfilter/ipvs/ip_vs_wlc.c.
//
// The backend with the fewest in flight per weight is chosen, compared without
// dividing: a/wa < b/wb iff a*wb < b*wa. Equals are taken in the order of smooth
// weighted round robin, so an idle service shares by weight (see lc.go).
//
// scanWeight is what a backend's load is divided by.
func scanWeight(policy lb.Policy, b lb.Backend) uint64 {
	if policy == lb.WeightedLeastConn {
		return uint64(b.Weight)
	}
	return 1
}
