package supervise

import (
	"slices"
	"testing"
)

func TestMaintenance(t *testing.T) {
	type step struct{ idle, total, spawn, reap int }
	for _, c := range []struct {
		name  string
		m     Maintenance
		steps []step
	}{
		{"doubles while short, up to 32", Maintenance{MinSpare: 100, MaxSpare: 200, Max: 1000}, []step{
			{0, 0, 1, 0}, {1, 1, 2, 0}, {3, 3, 4, 0}, {7, 7, 8, 0}, {15, 15, 16, 0}, {31, 31, 32, 0}, {63, 63, 32, 0}, {95, 95, 32, 0}, {127, 127, 0, 0},
		}},
		{"back to one as soon as it is not short", Maintenance{MinSpare: 5, MaxSpare: 10, Max: 50}, []step{
			{0, 10, 1, 0}, {0, 11, 2, 0}, {5, 13, 0, 0}, {4, 13, 1, 0}, {4, 14, 2, 0},
		}},
		{"never above the most", Maintenance{MinSpare: 5, MaxSpare: 10, Max: 12}, []step{
			{0, 9, 1, 0}, {0, 10, 2, 0}, {0, 12, 0, 0}, {0, 12, 0, 0}, {0, 10, 1, 0}, {0, 11, 1, 0},
		}},
		{"lets one a second go", Maintenance{MinSpare: 2, MaxSpare: 4, Max: 20}, []step{
			{7, 10, 0, 1}, {6, 9, 0, 1}, {5, 8, 0, 1}, {4, 7, 0, 0}, {2, 7, 0, 0}, {1, 7, 1, 0},
		}},
		{"threads are spare, children are counted", Maintenance{MinSpare: 75, MaxSpare: 250, Max: 16}, []step{
			{50, 3, 1, 0}, {60, 4, 2, 0}, {110, 6, 0, 0}, {251, 12, 0, 1},
		}},
		{"a fixed number", Maintenance{MinSpare: 4, MaxSpare: 4, Max: 4}, []step{
			{0, 0, 1, 0}, {1, 1, 2, 0}, {3, 3, 1, 0}, {4, 4, 0, 0}, {3, 3, 1, 0}, {5, 5, 0, 1},
		}},
	} {
		var got []step
		for _, s := range c.steps {
			spawn, reap := c.m.Step(s.idle, s.total)
			got = append(got, step{s.idle, s.total, spawn, reap})
		}
		if !slices.Equal(got, c.steps) {
			t.Errorf("%s:\n got %v\nwant %v", c.name, got, c.steps)
		}
	}
}
