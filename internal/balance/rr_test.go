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
