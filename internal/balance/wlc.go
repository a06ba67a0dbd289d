package balance

import "lbctl/internal/lb"

// Weighted least connections. Kernel: net/netfilter/ipvs/ip_vs_wlc.c.
//
// The backend with the fewest in flight per weight is chosen, compared without
// dividing: a/wa < b/wb iff a*wb < b*wa. Equals are taken in the order of smooth
// weighted round robin, so an idle service shares by weight (see lc.go).
//
// turnsOf is the policy whose table tells lc and wlc where to start.
func turnsOf(p lb.Policy) lb.Policy {
	switch p {
	case lb.LeastConn:
		return lb.RoundRobin
	case lb.WeightedLeastConn:
		return lb.WeightedRoundRobin
	}
	return p
}
