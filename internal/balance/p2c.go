package balance

// The power of two choices. M. Mitzenmacher, "The Power of Two Choices in
// Randomized Load Balancing", IEEE TPDS 12(10), 2001. nginx: random two
// least_conn; Envoy: LEAST_REQUEST.
//
// Two different backends are drawn by weight, the one with fewer in flight per
// weight is chosen, among equals the first drawn: an idle service shares as
// random does, and of two backends it is wlc. The steps are as few for any number
// of backends, unless one has nearly all the weight or most are not open.
//
// As with lc the place is taken only if the comparison still holds.
type twoChoices struct {
	*random
	peak bool // the cost is ewma's
}

func (t twoChoices) choose(a *ask) *place {
	for word := a.Random; ; word = mix(word + golden) {
		first := t.draw(a, word, nil)
		if first == nil {
			return nil
		}
		second := t.draw(a, mix(word^golden), first)
		for a.open(first) && (second == nil || a.open(second)) {
			p, n := t.better(first, second, a.Now)
			if n < p.limit && p.InFlight.CompareAndSwap(n, n+1) {
				return p
			}
		}
	}
}

// better returns the cheaper one and what it has in flight.
func (t twoChoices) better(first, second *place, now int64) (*place, int64) {
	n := first.InFlight.Load()
	if second == nil {
		return first, n
	}
	other := second.InFlight.Load()
	if t.cost(second, other, now) < t.cost(first, n, now) {
		return second, other
	}
	return first, n
}

func (t twoChoices) cost(p *place, inFlight, now int64) float64 {
	if t.peak {
		return peakCost(p, inFlight, now)
	}
	return perWeight(p, inFlight, now)
}

// perWeight is the cost of p2c. Equal fractions are equal as float64, too, since
// both are rounded correctly.
func perWeight(p *place, inFlight, now int64) float64 {
	return float64(max(inFlight, 0)) / float64(p.ramped(now))
}
