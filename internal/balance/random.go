package balance

import "math/bits"

// Random by weight. nginx: src/http/modules/ngx_http_upstream_random_module.c.
// The draw is the alias method: A. J. Walker, "An Efficient Method for Generating
// Discrete Random Variables with General Distributions", ACM TOMS 3(3), 1977, with
// the table made as by M. D. Vose, IEEE TSE 17(9), 1991: each slot is shared by
// at most two backends, so one draw takes one random word whatever their number.
//
// A place that is not open is drawn anew, which leaves the others exactly their
// proportions; after mostDraws it is drawn among the open ones alone.
type random struct {
	places []place
	keep   []uint64 // of 2^64: how much of its slot a place keeps
	alias  []uint32 // whose the rest is
}

const mostDraws = 8

// golden is 2^64 divided by the golden ratio: mix(r + golden) follows r.
const golden = 0x9e3779b97f4a7c15

func newRandom(places []place) *random {
	n := uint64(len(places))
	r := &random{places: places, keep: make([]uint64, n), alias: make([]uint32, n)}
	var sum uint64
	for i := range places {
		sum += places[i].weight
	}
	// A slot holds sum units, a backend brings weight*n: below 2^32 times 2^31.
	units := make([]uint64, n)
	var light, heavy []uint32
	for i := range places {
		units[i] = places[i].weight * n
		if units[i] < sum {
			light = append(light, uint32(i))
		} else {
			heavy = append(heavy, uint32(i))
		}
	}
	for len(light) > 0 && len(heavy) > 0 {
		l, h := light[len(light)-1], heavy[len(heavy)-1]
		light = light[:len(light)-1]
		r.keep[l], _ = bits.Div64(units[l], 0, sum)
		r.alias[l] = h
		if units[h] -= sum - units[l]; units[h] < sum {
			heavy = heavy[:len(heavy)-1]
			light = append(light, h)
		}
	}
	for _, i := range append(light, heavy...) { // exactly full: it is its own alias
		r.alias[i] = i
	}
	return r
}

func (r *random) choose(a *ask) *place {
	for word := a.Random; ; word = mix(word + golden) {
		p := r.draw(a, word, nil)
		if p == nil || p.take(p.limit) {
			return p
		}
	}
}

// draw returns an open place other than not, by weight; nil if there is none.
func (r *random) draw(a *ask, word uint64, not *place) *place {
	for range mostDraws {
		slot, rest := bits.Mul64(word, uint64(len(r.places)))
		if rest >= r.keep[slot] {
			slot = uint64(r.alias[slot])
		}
		if p := &r.places[slot]; p != not && a.open(p) && a.passes(p, word) {
			return p
		}
		word = mix(word + golden)
	}
	i := among(len(r.places), word, func(i int) uint64 {
		p := &r.places[i]
		if p == not || !a.open(p) {
			return 0
		}
		return p.ramped(a.Now)
	})
	if i < 0 {
		return nil
	}
	return &r.places[i]
}
