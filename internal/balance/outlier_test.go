package balance

import (
	"testing"
	"time"

	"lbctl/internal/lb"
)

// answers feeds a backend's answers, one a second, to the step: . is a success, x a
// failure. It returns after which of them it was ejected, counting from 1.
func answers(rule lb.Outlier, text string) []int {
	var o outcomes
	var out []int
	for i, c := range text {
		next, eject := stepOutcome(rule, unpackOutcomes(o.pack()), c == 'x', int64(i)*second)
		if o = next; eject {
			out = append(out, i+1)
		}
	}
	return out
}

func TestAnswersEject(t *testing.T) {
	row := lb.Outlier{Failures: 5}
	rate := lb.Outlier{Rate: 50, Requests: 6, Window: 10 * time.Second}
	for _, c := range []struct {
		name, answers string
		rule          lb.Outlier
		want          []int
	}{
		{"no rule", "xxxxxxxxxxxxxxxxxxxx", lb.Outlier{}, nil},
		{"four in a row", "xxxx.xxxx.xxxx", row, nil},
		{"five in a row", "xx.xxxxx", row, []int{8}},
		{"who comes back is half forgiven", "xxxxxxxx", row, []int{5, 8}},
		{"and forgiven after a success", "xxxxx.xxxx", row, []int{5}},
		{"one failure", ".x.x", lb.Outlier{Failures: 1}, []int{2, 4}},
		{"half of enough", "x.x.x.x", rate, []int{7}},
		{"less than half", "..x.x.x...", rate, nil},
		{"not enough in either window", ".....xxxxx", lb.Outlier{Rate: 50, Requests: 11, Window: 10 * time.Second}, nil},
		{"half of the second window only", ".........." + "x.x.x.x", rate, []int{17}},
	} {
		got := answers(c.rule, c.answers)
		if len(got) != len(c.want) {
			t.Errorf("%s: %s ejects after %v, want %v", c.name, c.answers, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %s ejects after %v, want %v", c.name, c.answers, got, c.want)
			}
		}
	}
}

func TestCountsOfAWindowKeepTheirRateWhenTheyOverflow(t *testing.T) {
	rule := lb.Outlier{Rate: 50, Requests: 100, Window: time.Hour}
	var o outcomes
	for i := range 1 << 18 {
		var eject bool
		if o, eject = stepOutcome(rule, o, i%5 < 2, second); eject && i > 100 {
			t.Fatalf("40 %% failures eject after %d: %+v", i, o)
		}
	}
	if rate := float64(o.failures) / float64(o.requests); rate < 0.39 || rate > 0.41 {
		t.Errorf("rate %.3f, want 0.4", rate)
	}
}

func TestEjectionsGrowAndAreForgiven(t *testing.T) {
	rule := lb.Outlier{Base: 10 * time.Second, Max: 35 * time.Second}
	until, now := int64(0), 1000*second
	for i, c := range []struct{ wait, want int64 }{ // seconds since it came back; length
		{0, 10},
		{0, 20},
		{5, 30},
		{10, 35},  // the longest
		{34, 35},  // 4 of it are still remembered, and a fifth comes
		{36, 30},  // 5 halved, and one more
		{31, 20},  // 3 halved, and one more
		{100, 10}, // all forgiven
	} {
		now = max(now, until+c.wait*second)
		until = stepEjection(rule, until, now)
		if got := until - now; got < c.want*second || got > c.want*second+quantum+mostTimes {
			t.Errorf("ejection %d, after %d s: %v, want %d s", i+1, c.wait, time.Duration(got), c.want)
		}
	}
}

func TestEjectionSurvivesItsWord(t *testing.T) {
	rule := usualOutlier
	for _, now := range []int64{1, 1000 * second, 18 * 365 * 86400 * second} {
		for _, times := range []int64{0, 1, 62, 63} {
			until := stepEjection(rule, now&^(quantum-1)|times, now)
			if id, got := unpackEjection(packEjection(mostID, until)); id != mostID || got != until {
				t.Errorf("%d of %d came back as %d of %d", until, mostID, got, id)
			}
		}
	}
}

func TestMayEjectLeavesItsShareAndOne(t *testing.T) {
	for _, c := range []struct {
		share          uint32
		eligible, most int
	}{
		{50, 1, 0}, {50, 2, 1}, {50, 3, 1}, {50, 7, 3}, {100, 3, 2}, {100, 1, 0}, {10, 5, 0}, {0, 5, 0}, {1000, 5, 4},
	} {
		rule := lb.Outlier{MaxShare: c.share}
		n := 0
		for mayEject(rule, c.eligible, n) {
			n++
		}
		if n != c.most {
			t.Errorf("%d %% of %d: %d may go, want %d", c.share, c.eligible, n, c.most)
		}
	}
}

// usualOutlier is Envoy's rule of five failures in a row, and half of all
// requests of ten seconds, if there were 100.
var usualOutlier = lb.Outlier{
	Failures: 5, Rate: 50, Requests: 100, Window: 10 * time.Second,
	Base: 10 * time.Second, Max: 300 * time.Second, MaxShare: 50,
}
