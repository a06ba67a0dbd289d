package balance

import (
	"cmp"
	"slices"
)

// apportion divides slots among weights by the method of largest remainders
// (Hamilton): each part is its exact quota slots*w/sum rounded down or up, ties
// going to the earlier one. The parts add up to slots. At least one weight must
// be positive.
func apportion(weights []uint32, slots int) []int {
	var sum uint64
	for _, w := range weights {
		sum += uint64(w)
	}
	parts := make([]int, len(weights))
	order := make([]int, len(weights))
	rest := make([]uint64, len(weights))
	left := slots
	for i, w := range weights {
		// w < 2^32 and slots is a table's size: the product fits 64 bits.
		quota := uint64(w) * uint64(slots)
		parts[i] = int(quota / sum)
		rest[i] = quota % sum
		order[i] = i
		left -= parts[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rest[b], rest[a]) })
	for _, i := range order[:left] {
		parts[i]++
	}
	return parts
}

// atLeastOne gives every part that got nothing one slot, taken from the part
// that is then the largest. There must be at least as many slots as parts.
func atLeastOne(parts []int) {
	for i := range parts {
		if parts[i] == 0 {
			largest := slices.Index(parts, slices.Max(parts))
			parts[largest]--
			parts[i] = 1
		}
	}
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func isPrime(n int) bool {
	if n < 2 {
		return false
	}
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return true
}
