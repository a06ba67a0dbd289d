package balance

import "lbctl/internal/lb"

// Round robin. Kernel: net/netfilter/ipvs/ip_vs_rr.c.
//
// The table holds each eligible backend once, in service order. Weights are
// ignored, save that 0 takes nothing new. Shares are exact.
func roundRobin(backends []lb.Backend, _ int) []lb.BackendID {
	var table []lb.BackendID
	for _, b := range eligible(backends) {
		table = append(table, b.ID)
	}
	return table
}
