package balance

import "lbctl/internal/lb"

// Source hash. Kernel: net/netfilter/ipvs/ip_vs_sh.c, with its flag sh-fallback:
// the clients of a backend that takes nothing new go to the others, and come
// back with it, while everyone else stays.
//
// First all members of weight > 0 get slots by weight, in service order,
// eligible or not. Then the slots of those that are not eligible are divided
// among those that are, again by weight. So a change of health or admin state
// moves only the keys of the backend it concerns; a change of membership or
// weight may move any key (mh exists for that).
//
// With every member eligible, each share is within 1/size of what the weights
// say, and within 2/size with some of them not; a backend too light for a slot
// gets one from the heaviest. Unlike the kernel, whose 256 buckets are all taken by the first
// members when the weights add up to more, shares hold for weights of any size.
func sourceHash(backends []lb.Backend, size int) []lb.BackendID {
	var members []lb.Backend
	for _, b := range backends {
		if b.Weight > 0 {
			members = append(members, b)
		}
	}
	table := make([]lb.BackendID, 0, size)
	var free []int // slots whose member takes nothing new
	parts := apportion(weightsOf(members), size)
	atLeastOne(parts)
	for i, part := range parts {
		for range part {
			if !members[i].Eligible() {
				free = append(free, len(table))
			}
			table = append(table, members[i].ID)
		}
	}
	chosen := eligible(members)
	for i, part := range apportion(weightsOf(chosen), len(free)) {
		for _, slot := range free[:part] {
			table[slot] = chosen[i].ID
		}
		free = free[part:]
	}
	return table
}

func weightsOf(backends []lb.Backend) []uint32 {
	weights := make([]uint32, len(backends))
	for i, b := range backends {
		weights[i] = b.Weight
	}
	return weights
}
