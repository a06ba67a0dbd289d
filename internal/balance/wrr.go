package balance

import "lbctl/internal/lb"

// Smooth weighted round robin. nginx: src/http/ngx_http_upstream_round_robin.c
// (commit 52327e0627f4, "Upstream: smooth weighted round-robin balancing").
// Kernel: net/netfilter/ipvs/ip_vs_wrr.c gives the same shares, less evenly
// spread: it serves a heavy backend's surplus in one burst.
//
// The table is one period of the sequence. It has sum(weights)/gcd(weights)
// slots and shares are exact, if that many fit into size. If not, the weights
// are first scaled to size slots: every share is then within 1/size of what the
// weights say, save that a backend too light for a slot gets one from the
// heaviest, which so may lose up to (backends-1)/size. Making the table takes
// slots times backends steps.
func weightedRoundRobin(backends []lb.Backend, size int) []lb.BackendID {
	chosen := eligible(backends)
	parts := periods(chosen, size)
	period := int64(0)
	for _, p := range parts {
		period += p
	}
	table := make([]lb.BackendID, period)
	current := make([]int64, len(parts))
	for slot := range table {
		best := 0
		for i, p := range parts {
			current[i] += p
			if current[i] > current[best] {
				best = i
			}
		}
		current[best] -= period
		table[slot] = chosen[best].ID
	}
	return table
}

// periods returns how often each backend occurs in a period of at most size slots.
func periods(backends []lb.Backend, size int) []int64 {
	var sum, divisor uint64
	weights := make([]uint32, len(backends))
	for i, b := range backends {
		weights[i] = b.Weight
		sum += uint64(b.Weight)
		divisor = gcd(divisor, uint64(b.Weight))
	}
	parts := make([]int64, len(weights))
	if sum/divisor <= uint64(size) {
		for i, w := range weights {
			parts[i] = int64(uint64(w) / divisor)
		}
		return parts
	}
	scaled := apportion(weights, size)
	atLeastOne(scaled)
	divisor = 0
	for _, p := range scaled {
		divisor = gcd(divisor, uint64(p))
	}
	for i, p := range scaled {
		parts[i] = int64(p) / int64(divisor)
	}
	return parts
}
