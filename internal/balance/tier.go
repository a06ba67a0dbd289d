package balance

import "lbctl/internal/lb"

// tier is a set of backends and the policy over them. It has the one field that
// the policy needs. It is no interface, for then what it is asked would escape to
// the heap on every choice.
type tier struct {
	policy lb.Policy
	walked *walked
	least  leastLoaded
	random *random
	two    twoChoices
	hashed *hashed
	first  first
}

// newTier returns nil if no backend is eligible.
func newTier(s lb.Service, backends []lb.Backend, state State) (*tier, error) {
	t := &tier{policy: s.Policy}
	var places []place
	for _, b := range eligible(backends) {
		places = append(places, newPlace(b, s, state.Member(b.ID)))
		if s.Policy == lb.LeastConn {
			places[len(places)-1].weight = 1
		}
	}
	switch s.Policy {
	case lb.PowerOfTwo, lb.PeakEWMA, lb.Random, lb.First:
		if len(places) == 0 {
			return nil, nil
		}
		t.fill(places)
		return t, nil
	}
	table, err := Table(turnsOf(s.Policy), backends, DefaultSize)
	if err != nil || table == nil {
		return nil, err
	}
	switch s.Policy {
	case lb.SourceHash, lb.Maglev, lb.KeyHash:
		t.hashed = &hashed{policy: s.Policy, places: places, table: indices(table, places)}
		if percent := s.HTTP.Hash.Bound; percent > 0 && s.Policy == lb.KeyHash {
			t.hashed.bound, t.hashed.active = newBound(percent, places), state.Active
		}
	default:
		t.walked = newWalked(table, places, state.Turn)
		t.least = leastLoaded{t.walked}
	}
	return t, nil
}

// fill makes the tier of a policy that has no table.
func (t *tier) fill(places []place) {
	switch t.policy {
	case lb.First:
		t.first = first{places}
	case lb.Random:
		t.random = newRandom(places)
	case lb.PowerOfTwo:
		t.two = twoChoices{newRandom(places), false}
	case lb.PeakEWMA:
		t.two = twoChoices{newRandom(places), true}
	}
}

// choose takes a place, nil if none is open.
func (t *tier) choose(a *ask) *place {
	switch t.policy {
	case lb.LeastConn, lb.WeightedLeastConn:
		return t.least.choose(a)
	case lb.PowerOfTwo, lb.PeakEWMA:
		return t.two.choose(a)
	case lb.Random:
		return t.random.choose(a)
	case lb.First:
		return t.first.choose(a)
	case lb.RoundRobin, lb.WeightedRoundRobin:
		return t.walked.choose(a)
	default:
		return t.hashed.choose(a)
	}
}
