package balance

import (
	"math"
	"slices"
	"testing"

	"lbctl/internal/lb"
)

func TestSmoothSequenceIsNginxs(t *testing.T) {
	got := mustTable(t, lb.WeightedRoundRobin, members(5, 1, 1), 251)
	if want := []lb.BackendID{1, 1, 2, 1, 3, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("table %v, want %v", got, want)
	}
}

func TestWeightedSharesAreExactWithOneBackendDown(t *testing.T) {
	// caddy gives 500:100 where 120:480 is right.
	got := picks(t, mustNew(t, service(lb.WeightedRoundRobin, down(members(10, 2, 8), 1)), new(words)), 600)
	if got[1] != 0 || got[2] != 120 || got[3] != 480 {
		t.Errorf("picks %v, want 2:120 3:480", got)
	}
	for gone, want := range map[lb.BackendID]map[lb.BackendID]int{
		1: {2: 400, 3: 600}, 2: {1: 250, 3: 750}, 3: {1: 333, 2: 667},
	} {
		got := picks(t, mustNew(t, service(lb.WeightedRoundRobin, down(members(100, 200, 300), gone)), new(words)), 1000)
		for id, n := range want {
			if d := got[id] - n; d < -1 || d > 1 {
				t.Errorf("%d down: picks %v, want %v", gone, got, want)
			}
		}
	}
}

func TestPeriodIsReducedByTheCommonDivisor(t *testing.T) {
	for _, weights := range [][]uint32{{100, 200, 300}, {hugeWeight / 7 * 1, hugeWeight / 7 * 2, hugeWeight / 7 * 3}} {
		if n := len(mustTable(t, lb.WeightedRoundRobin, members(weights...), 251)); n != 6 {
			t.Errorf("weights %v: %d slots, want 6", weights, n)
		}
	}
}

func TestScaledWeightsStayWithinTheDocumentedError(t *testing.T) {
	for _, weights := range [][]uint32{
		{1000, 999}, {hugeWeight, hugeWeight - 1, hugeWeight / 3}, {65537, 65539, 7, 123457}, {hugeWeight, 1, 1, 1},
	} {
		checkShares(t, members(weights...), 251)
	}
}

// checkShares holds a wrr table against the bounds that wrr.go promises.
func checkShares(t *testing.T, backends []lb.Backend, size int) {
	t.Helper()
	table := mustTable(t, lb.WeightedRoundRobin, backends, size)
	if len(table) > size {
		t.Fatalf("%d slots, more than %d", len(table), size)
	}
	sum := 0.0
	for _, b := range eligible(backends) {
		sum += float64(b.Weight)
	}
	slots := count(table)
	for _, b := range eligible(backends) {
		share, want := float64(slots[b.ID])/float64(len(table)), float64(b.Weight)/sum
		bound := 1 / float64(size)
		if want > 1/float64(len(backends)) { // it may be the heaviest, which gives
			bound *= float64(len(backends))
		}
		if slots[b.ID] == 0 || math.Abs(share-want) > bound+1e-9 {
			t.Errorf("backend %d of weight %d: share %.6f, want %.6f ± %.6f", b.ID, b.Weight, share, want, bound)
		}
	}
}
