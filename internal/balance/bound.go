package balance

import "math/bits"

// Bounded loads. V. Mirrokni, M. Thorup, M. Zadimoghaddam, "Consistent Hashing
// with Bounded Loads", SODA 2018 (arXiv 1608.01350, 2016). HAProxy:
// hash-balance-factor.
//
// With m requests in flight a backend takes no more than ⌈c × m × its share of the
// weights⌉. A key whose backend is full hashes anew until it finds one with room
// (J. Chen, B. Coleman, A. Shrivastava, "Revisiting Consistent Hashing with Bounded
// Loads", AAAI 2021: random jumps spread the overflow, where walking on a ring
// hands it to the next one); all others stay. Where only backends that are not
// open would have room, there is no bound.
type bound struct {
	times []uint64 // percent × weight
	by    uint64   // 100 × sum of weights
}

// mostPercent keeps products within 64 and 128 bits; so large a bound is none.
const mostPercent = 1 << 20

func newBound(percent uint32, places []place) *bound {
	b := &bound{}
	for i := range places {
		b.times = append(b.times, uint64(min(percent, mostPercent))*places[i].weight)
		b.by += 100 * places[i].weight
	}
	return b
}

// of is what place i may have in flight, at least 1, while requests are in flight.
func (b *bound) of(i int, requests int64) int64 {
	hi, lo := bits.Mul64(b.times[i], uint64(min(max(requests, 1), 1<<32)))
	quotient, rest := bits.Div64(hi, lo, b.by)
	if rest > 0 {
		quotient++
	}
	return int64(quotient)
}
