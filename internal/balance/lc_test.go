package balance

import (
	"testing"

	"lbctl/internal/lb"
)

func TestLeastConnTakesTheFewestInFlight(t *testing.T) {
	for _, c := range []struct {
		policy   lb.Policy
		backends []lb.Backend
		load     *words
		want     lb.BackendID
	}{
		{lb.LeastConn, equals(3), new(words).set(5, 3, 4), 2},
		{lb.LeastConn, members(100, 1, 1), new(words).set(5, 3, 4), 2}, // weights ignored
		{lb.LeastConn, down(equals(3), 2), new(words).set(5, 3, 4), 3},
		{lb.LeastConn, members(1, 0, 1), new(words).set(5, 0, 4), 3},
		{lb.WeightedLeastConn, members(10, 1, 1), new(words).set(9, 1, 2), 1},
		{lb.WeightedLeastConn, members(10, 1, 1), new(words).set(11, 1, 2), 2},
		{lb.WeightedLeastConn, members(hugeWeight, 1, 1), new(words).set(1<<40, 1, 1), 2},
		{lb.WeightedLeastConn, members(hugeWeight, 1, 1), new(words).set(hugeWeight-1, 1, 1), 1},
	} {
		p := mustNew(t, service(c.policy, c.backends), c.load)
		for i := range 5 {
			if id := pick(t, p, client(i)); id != c.want {
				t.Errorf("%s of %v: picked %d, want %d", c.policy, c.backends, id, c.want)
			}
		}
	}
}

func TestEqualsShareEvenlyWhenIdle(t *testing.T) {
	got := picks(t, mustNew(t, service(lb.LeastConn, equals(5)), new(words)), 1000)
	for id, n := range got {
		if n != 200 {
			t.Errorf("backend %d: %d of 1000, want 200", id, n)
		}
	}
	got = picks(t, mustNew(t, service(lb.WeightedLeastConn, members(3, 1)), new(words)), 1000)
	if got[1] != 750 || got[2] != 250 {
		t.Errorf("wlc 3:1 when idle: %v, want 750:250", got)
	}
}

func TestInFlightFollowsTheWeights(t *testing.T) {
	var w words
	p := mustNew(t, service(lb.WeightedLeastConn, members(3, 2, 1)), &w)
	for i := range 600 { // nothing ever finishes
		p.Pick(client(i), nil)
	}
	for i, want := range []int64{300, 200, 100} {
		if n := w.members[i+1].inFlight.Load(); n != want {
			t.Errorf("backend %d has %d in flight, want %d", i+1, n, want)
		}
	}
}
