package balance

import (
	"testing"
	"time"

	"lbctl/internal/lb"
)

func TestOfTwoBackendsTheLessLoadedIsChosen(t *testing.T) {
	for _, c := range []struct {
		weights []uint32
		load    *words
		want    lb.BackendID
	}{
		{[]uint32{1, 1}, new(words).set(5, 4), 2},
		{[]uint32{10, 1}, new(words).set(9, 1), 1},
		{[]uint32{10, 1}, new(words).set(11, 1), 2},
		{[]uint32{hugeWeight, 1}, new(words).set(1<<40, 1), 2},
	} {
		p := mustNew(t, service(lb.PowerOfTwo, members(c.weights...)), c.load)
		for i := range 200 {
			if id := pick(t, p, client(i)); id != c.want {
				t.Fatalf("weights %v: picked %d, want %d", c.weights, id, c.want)
			}
		}
	}
}

// With random choices alone the fullest of 100 would have about 30 more than the
// average of 100; of two choices the surplus is a few (Mitzenmacher: O(log log n)).
func TestTwoChoicesKeepTheFullestCloseToTheAverage(t *testing.T) {
	for p, most := range map[lb.Policy]int64{lb.PowerOfTwo: 104, lb.PeakEWMA: 104} {
		var w words
		picker := mustNew(t, service(p, equals(100)), &w)
		for i := range 100 * 100 { // nothing ever finishes
			picker.Pick(client(i), nil)
		}
		fullest := int64(0)
		for i := range w.members {
			fullest = max(fullest, w.members[i].inFlight.Load())
		}
		t.Logf("%s: the fullest has %d, the average is 100", p, fullest)
		if fullest > most {
			t.Errorf("%s: the fullest has %d, want at most %d", p, fullest, most)
		}
	}
}

func TestFiveEqualServersUnderLoadEachGetAFifth(t *testing.T) {
	for _, policy := range []lb.Policy{lb.LeastConn, lb.WeightedLeastConn, lb.PowerOfTwo, lb.PeakEWMA, lb.Random} {
		var w words
		p := mustNew(t, service(policy, equals(5)), &w)
		got, running := map[lb.BackendID]int{}, []lb.BackendID{}
		for i := range requests { // 20 at a time, which end in random order
			k := client(i)
			id, _ := p.Pick(k, nil)
			got[id]++
			if running = append(running, id); len(running) > 20 {
				at := mix(uint64(i)) % 21
				w.members[running[at]].inFlight.Add(-1)
				w.members[running[at]].Member().Observe(10*time.Millisecond, k.Now)
				running[at] = running[20]
				running = running[:20]
			}
		}
		wantShares(t, string(policy), got, 0.02, 1, 1, 1, 1, 1)
	}
}
