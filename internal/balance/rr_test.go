package balance

import (
	"slices"
	"testing"

	"lbctl/internal/lb"
)

func TestRoundRobinTakesTurnsInServiceOrderWhateverTheWeights(t *testing.T) {
	backends := members(5, 1, 9)
	slices.Reverse(backends)
	if got := mustTable(t, lb.RoundRobin, backends, 251); !slices.Equal(got, []lb.BackendID{3, 2, 1}) {
		t.Errorf("table %v, want 3 2 1", got)
	}
	if got := mustTable(t, lb.RoundRobin, down(members(5, 1, 9), 2), 251); !slices.Equal(got, []lb.BackendID{1, 3}) {
		t.Errorf("table with 2 down %v, want 1 3", got)
	}
}

func TestRoundRobinSharesAreExactUnderConcurrency(t *testing.T) {
	p := mustNew(t, lb.RoundRobin, equals(5), nil)
	results := make(chan map[lb.BackendID]int)
	for range 4 {
		go func() {
			got := map[lb.BackendID]int{}
			for i := range 2500 {
				id, _ := p.Pick(client(i))
				got[id]++
			}
			results <- got
		}()
	}
	sum := map[lb.BackendID]int{}
	for range 4 {
		for id, n := range <-results {
			sum[id] += n
		}
	}
	for id := lb.BackendID(1); id <= 5; id++ {
		if sum[id] != 2000 {
			t.Errorf("backend %d: %d of 10000, want 2000", id, sum[id])
		}
	}
}
