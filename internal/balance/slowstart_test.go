package balance

import (
	"testing"
	"time"

	"lbctl/internal/lb"
)

func TestRampGrowsFromATenth(t *testing.T) {
	at := 1000 * second
	for _, c := range []struct {
		now, since int64
		want       float64
	}{
		{at, at, 0.1},
		{at + second, at, 0.19},
		{at + 5*second, at, 0.55},
		{at + 10*second, at, 1},
		{at + 99*second, at, 1},
		{at, 0, 1},
		{at - second, at, 0.1},
	} {
		got := float64(Ramp(c.now, c.since, 10*time.Second)) / fullRamp
		if got < c.want-0.002 || got > c.want+0.002 {
			t.Errorf("%d s after: %.4f, want %.2f", (c.now-c.since)/second, got, c.want)
		}
	}
	if Ramp(at, at, 0) != fullRamp {
		t.Error("without a slow start there is a ramp")
	}
}

func TestABackendThatComesUpGetsItsShareTimesItsRamp(t *testing.T) {
	for _, c := range sharing {
		if c.policy == lb.SourceHash || c.policy == lb.Maglev || c.policy == lb.KeyHash {
			continue
		}
		var w words
		// 5 of 10 seconds ago: a ramp of 0.55. 3 comes back from an ejection.
		w.members[2].upSince.Store(client(0).Now - 5*second)
		w.members[3].ejectedUntil.Store(client(0).Now - 5*second)
		want := []float64{5, 3 * 0.55, 2 * 0.55, 5}
		if c.even {
			want = []float64{1, 0.55, 0.55, 1}
		}
		p := mustNew(t, service(c.policy, members(5, 3, 2, 5), slowStart(10*time.Second)), &w)
		// Five standard deviations, and the ramp's own precision.
		wantShares(t, string(c.policy), picks(t, p, requests), 0.0183, want...)
	}
}

func TestHashPoliciesIgnoreSlowStart(t *testing.T) {
	for _, p := range []lb.Policy{lb.SourceHash, lb.Maglev, lb.KeyHash} {
		var w words
		home := homes(t, service(p, equals(4)), &w)
		w.members[2].upSince.Store(client(0).Now)
		for i, id := range homes(t, service(p, equals(4), slowStart(time.Minute)), &w) {
			if id != home[i] {
				t.Fatalf("%s: key %d went to %d, want %d", p, i, id, home[i])
			}
		}
	}
}

func TestInFlightFollowsTheRamp(t *testing.T) {
	var w words
	w.members[2].upSince.Store(client(0).Now)
	p := mustNew(t, service(lb.LeastConn, equals(2), slowStart(time.Minute)), &w)
	for i := range 1100 { // nothing ever finishes
		p.Pick(client(i), nil)
	}
	if n := w.members[2].inFlight.Load(); n < 98 || n > 102 {
		t.Errorf("%d of 1100 in flight at a ramp of 0.1, want 100", n)
	}
}

func TestSlowStartOfAllStopsNobody(t *testing.T) {
	for _, policy := range allPolicies {
		var w words
		for i := range w.members {
			w.members[i].upSince.Store(client(0).Now)
		}
		for _, n := range []int{1, 3} {
			picks(t, mustNew(t, service(policy, equals(n), slowStart(time.Minute)), &w), 1000)
		}
	}
}
