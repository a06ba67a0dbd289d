package balance

import (
	"testing"

	"lbctl/internal/lb"
)

func loads(n ...uint64) Load {
	return func(id lb.BackendID) uint64 { return n[id-1] }
}

func TestLeastConnTakesTheFewestInFlight(t *testing.T) {
	for _, c := range []struct {
		policy   lb.Policy
		backends []lb.Backend
		load     Load
		want     lb.BackendID
	}{
		{lb.LeastConn, equals(3), loads(5, 3, 4), 2},
		{lb.LeastConn, members(100, 1, 1), loads(5, 3, 4), 2}, // weights ignored
		{lb.LeastConn, down(equals(3), 2), loads(5, 3, 4), 3},
		{lb.LeastConn, members(1, 0, 1), loads(5, 0, 4), 3},
		{lb.WeightedLeastConn, members(10, 1, 1), loads(9, 1, 2), 1},
		{lb.WeightedLeastConn, members(10, 1, 1), loads(11, 1, 2), 2},
		{lb.WeightedLeastConn, members(hugeWeight, 1, 1), loads(1<<40, 1, 1), 2},
		{lb.WeightedLeastConn, members(hugeWeight, 1, 1), loads(hugeWeight-1, 1, 1), 1},
	} {
		p := mustNew(t, c.policy, c.backends, c.load)
		for i := range 5 {
			if id, _ := p.Pick(client(i)); id != c.want {
				t.Errorf("%s of %v: picked %d, want %d", c.policy, c.backends, id, c.want)
			}
		}
	}
}

func TestEqualsShareEvenlyWhenIdle(t *testing.T) {
	got := picks(t, mustNew(t, lb.LeastConn, equals(5), idle), 1000)
	for id, n := range got {
		if n != 200 {
			t.Errorf("backend %d: %d of 1000, want 200", id, n)
		}
	}
	got = picks(t, mustNew(t, lb.WeightedLeastConn, members(3, 1), idle), 1000)
	if got[1] != 750 || got[2] != 250 {
		t.Errorf("wlc 3:1 when idle: %v, want 750:250", got)
	}
}

func TestInFlightFollowsTheWeights(t *testing.T) {
	active := make([]uint64, 3)
	p := mustNew(t, lb.WeightedLeastConn, members(3, 2, 1), loads(active...))
	for i := range 600 { // nothing ever finishes
		id, _ := p.Pick(client(i))
		active[id-1]++
	}
	if active[0] != 300 || active[1] != 200 || active[2] != 100 {
		t.Errorf("in flight %v, want 300 200 100", active)
	}
}
