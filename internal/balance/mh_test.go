package balance

import (
	"math"
	"slices"
	"testing"

	"lbctl/internal/lb"
)

func TestMaglevSharesAreWithinOneSlot(t *testing.T) {
	for _, weights := range [][]uint32{
		{1, 1, 1}, {1, 2, 3}, {5, 1, 1, 1, 100}, {hugeWeight, hugeWeight / 2, 1000000},
	} {
		for _, backends := range [][]lb.Backend{members(weights...), down(members(weights...), 1)} {
			sum := 0.0
			for _, b := range eligible(backends) {
				sum += float64(b.Weight)
			}
			slots := count(mustTable(t, lb.Maglev, backends, DefaultSize))
			for _, b := range eligible(backends) {
				want := float64(b.Weight) / sum * DefaultSize
				// every backend's turn at time 0 shifts the others by at most one slot
				if math.Abs(float64(slots[b.ID])-want) > float64(len(backends)) {
					t.Errorf("weights %v: backend %d has %d slots, want %.1f", weights, b.ID, slots[b.ID], want)
				}
			}
		}
	}
}

func TestMaglevMovesLessThanTwoPercentOfOtherKeys(t *testing.T) {
	for name, backends := range map[string][]lb.Backend{
		"3 equal": equals(3), "4 equal": equals(4), "10 equal": equals(10), "100 equal": equals(100),
		"weighted": members(1, 2, 3, 4, 50), "wild": members(hugeWeight, hugeWeight/3, hugeWeight/2),
	} {
		before := mustTable(t, lb.Maglev, backends, DefaultSize)
		worst := 0.0
		for gone := lb.BackendID(1); gone <= lb.BackendID(min(len(backends), 10)); gone++ {
			after := mustTable(t, lb.Maglev, without(backends, gone), DefaultSize)
			changed, others := moved(before, after, gone)
			worst = max(worst, 100*float64(changed)/float64(others))
			if !slices.Equal(after, mustTable(t, lb.Maglev, down(backends, gone), DefaultSize)) {
				t.Errorf("%s: %d removed and %d down give different tables", name, gone, gone)
			}
		}
		t.Logf("%s: at most %.2f %% of the other keys moved", name, worst)
		if worst >= 2 {
			t.Errorf("%s: %.2f %% of the other keys moved", name, worst)
		}
	}
}

func TestMaglevDoesNotDependOnTheOrderOfBackends(t *testing.T) {
	backends := members(3, 1, 2, 2, 7)
	want := mustTable(t, lb.Maglev, backends, 65537)
	slices.Reverse(backends)
	if !slices.Equal(want, mustTable(t, lb.Maglev, backends, 65537)) {
		t.Error("the reversed service has another table")
	}
}

func TestMaglevDependsOnAddressesNotOnIDs(t *testing.T) {
	backends := members(3, 1, 2)
	want := mustTable(t, lb.Maglev, backends, 251)
	for i := range backends {
		backends[i].ID += 1000
	}
	for i, id := range mustTable(t, lb.Maglev, backends, 251) {
		if id != want[i]+1000 {
			t.Fatalf("slot %d: backend %d, want %d", i, id, want[i]+1000)
		}
	}
}

func TestMaglevSeparatesPortsOfOneAddress(t *testing.T) {
	backends := equals(2)
	for i := range backends {
		backends[i].Addr = members(1)[0].Addr // and a duplicate address does no harm
	}
	slots := count(mustTable(t, lb.Maglev, backends, 251))
	if d := slots[1] - slots[2]; d < -1 || d > 1 {
		t.Errorf("same address twice: %v", slots)
	}
}

func BenchmarkMaglev100(b *testing.B) {
	backends := equals(100)
	for b.Loop() {
		maglev(backends, DefaultSize)
	}
}
