package healthcheck

import (
	"math/rand/v2"
	"slices"
	"testing"

	"lbctl/internal/lb"
)

// feed runs results through step and returns the health after each of them.
func feed(start lb.Health, rise, fall int, results ...bool) []lb.Health {
	d := damper{health: start}
	var out []lb.Health
	for _, ok := range results {
		d, _ = d.step(ok, rise, fall)
		out = append(out, d.health)
	}
	return out
}

func TestThresholds(t *testing.T) {
	const o, x = true, false
	const U, D, N = lb.Up, lb.Down, lb.Unknown
	tests := []struct {
		name       string
		start      lb.Health
		rise, fall int
		results    []bool
		want       []lb.Health
	}{
		{"unknown comes up at the first success whatever rise is", N, 5, 3, []bool{o}, []lb.Health{U}},
		{"unknown comes up at the first success after failures", N, 2, 3, []bool{x, x, o}, []lb.Health{N, N, U}},
		{"unknown goes down after fall failures", N, 2, 3, []bool{x, x, x}, []lb.Health{N, N, D}},
		{"up goes down after fall failures in a row", U, 2, 3, []bool{x, x, x, x}, []lb.Health{U, U, D, D}},
		{"a success between starts the count of failures again", U, 2, 3, []bool{x, x, o, x, x, x}, []lb.Health{U, U, U, U, U, D}},
		{"down comes up after rise successes in a row", D, 2, 3, []bool{o, o}, []lb.Health{D, U}},
		{"a failure between starts the count of successes again", D, 2, 3, []bool{o, x, o, o}, []lb.Health{D, D, D, U}},
		{"with rise and fall of 1 every change of result is a change of health", U, 1, 1, []bool{x, o, x, x}, []lb.Health{D, U, D, D}},
		{"results that agree change nothing", U, 2, 3, []bool{o, o, o}, []lb.Health{U, U, U}},
		{"lowered thresholds count what was counted", D, 1, 1, []bool{o}, []lb.Health{U}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := feed(tt.start, tt.rise, tt.fall, tt.results...); !slices.Equal(got, tt.want) {
				t.Errorf("after %v health is %v, want %v", tt.results, got, tt.want)
			}
		})
	}
}

// What must hold of any results: a target goes down exactly when the last fall
// results are failures, and comes back exactly when the last rise ones are successes.
func TestHealthFollowsFromTheLastResults(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		rise, fall := 1+rng.IntN(4), 1+rng.IntN(4)
		bias := rng.Float64()
		d := damper{health: lb.Health(rng.IntN(3))}
		var results []bool
		for range 40 {
			ok := rng.Float64() < bias
			results = append(results, ok)
			next, changed := d.step(ok, rise, fall)
			if changed != (next.health != d.health) {
				t.Fatalf("step says changed=%v from %v to %v", changed, d.health, next.health)
			}
			want := d.health
			switch {
			case endsWith(results, false, fall):
				want = lb.Down
			case d.health == lb.Unknown && ok, endsWith(results, true, rise):
				want = lb.Up
			}
			if next.health != want {
				t.Fatalf("rise %d, fall %d, %v: health %v became %v, want %v", rise, fall, results, d.health, next.health, want)
			}
			if next.successes > 0 && next.failures > 0 {
				t.Fatalf("%d successes and %d failures in a row at once", next.successes, next.failures)
			}
			d = next
		}
	}
}

func endsWith(results []bool, ok bool, n int) bool {
	return len(results) >= n && !slices.Contains(results[len(results)-n:], !ok)
}

func TestDoubtIsWhereTheLastResultSpeaksAgainstHealth(t *testing.T) {
	for _, tt := range []struct {
		d    damper
		want bool
	}{
		{damper{}, true},
		{damper{health: lb.Up, successes: 3}, false},
		{damper{health: lb.Up, failures: 1}, true},
		{damper{health: lb.Down, failures: 9}, false},
		{damper{health: lb.Down, successes: 1}, true},
	} {
		if got := tt.d.inDoubt(); got != tt.want {
			t.Errorf("%+v in doubt: %v, want %v", tt.d, got, tt.want)
		}
	}
}
