package report

import (
	"math"
	"math/rand/v2"
	"testing"
)

// machines are the kinds of noise that a shared two-core machine shows: FACTS.md
// speaks of drifts of 15 to 20 % over minutes.
var machines = map[string]model{
	"slow drift":          {driftSD: 0.10, stay: 0.9, runSD: 0.03},
	"strong drift":        {driftSD: 0.15, stay: 0.98, runSD: 0.05},
	"drift within rounds": {driftSD: 0.10, stay: 0.5, runSD: 0.02},
	"no drift, bad luck":  {stay: 0.9, runSD: 0.08},
}

// logsOf simulates the log ratios of two arms of which A is faster by effect, in
// the order that Compare uses.
func logsOf(m *model, rounds int, effect float64) []float64 {
	var logs []float64
	for round := range rounds {
		order := "dABBAd"
		if round%2 == 1 {
			order = "dBAABd"
		}
		speed := map[rune]float64{}
		for i, arm := range order {
			speed[arm] = m.next()
			if i == 2 || i == 4 { // both arms of a half have run
				logs = append(logs, effect+speed['A']-speed['B'])
			}
		}
	}
	return logs
}

// fraction simulates comparisons and counts those that name a winner.
func fraction(m model, comparisons, rounds int, effect float64, seed uint64) float64 {
	m.r = rand.New(rand.NewPCG(seed, 7))
	named := 0
	for range comparisons {
		m.drift = m.driftSD * m.r.NormFloat64()
		if convincing(logsOf(&m, rounds, effect)) {
			named++
		}
	}
	return float64(named) / float64(comparisons)
}

func TestEqualsRarelyHaveAWinner(t *testing.T) {
	for name, m := range machines {
		for _, rounds := range []int{3, 4, 6} {
			if f := fraction(m, 3000, rounds, 0, uint64(rounds)); f > 0.02 {
				t.Errorf("%s, %d rounds: a winner among equals in %.1f %% of comparisons", name, rounds, 100*f)
			}
		}
	}
}

func TestFewPairsHaveNoWinner(t *testing.T) {
	if convincing([]float64{1, 1.01, 0.99, 1, 1.02}) {
		t.Error("a winner from five pairs")
	}
	if convincing([]float64{0.01, 0.0101, 0.0099, 0.01, 0.0102, 0.01, 0.01, 0.01}) {
		t.Error("a winner by one percent")
	}
	if !convincing([]float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1}) {
		t.Error("no winner where every pair says the same")
	}
}

func TestAClearDifferenceHasAWinner(t *testing.T) {
	for name, want := range map[string]float64{"slow drift": 0.95, "drift within rounds": 0.6, "no drift, bad luck": 0.85} {
		if f := fraction(machines[name], 150, 4, math.Log(1.3), 3); f < want {
			t.Errorf("%s: of differences of 30 %% only %.0f %% were found", name, 100*f)
		}
	}
}

func TestIntervalCoversTheTruth(t *testing.T) {
	m := machines["slow drift"]
	m.r = rand.New(rand.NewPCG(5, 5))
	const truth, comparisons = 0.2, 250
	missed := 0
	for range comparisons {
		if iv := bootstrap(logsOf(&m, 4, truth)); iv.Low > truth || iv.High < truth {
			missed++
		}
	}
	if f := float64(missed) / comparisons; f > 0.09 {
		t.Errorf("the 95 %% interval missed the truth in %.1f %%", 100*f)
	}
}

func TestIntervalsOfFewPairsCoverTheTruth(t *testing.T) {
	m := machines["no drift, bad luck"]
	m.r = rand.New(rand.NewPCG(6, 6))
	for n := 2; n < minPairs; n++ {
		missed := 0
		for range 2000 {
			if iv := interval(logsOf(&m, 3, 0.2)[:n]); iv.Low > 0.2 || iv.High < 0.2 {
				missed++
			}
		}
		if missed > 140 {
			t.Errorf("%d pairs: the 95 %% interval missed the truth in %.1f %%", n, float64(missed)/20)
		}
	}
}

func TestRatiosInvert(t *testing.T) {
	logs := []float64{0.1, 0.3, 0.2, 0.25, 0.15, 0.2}
	inverse := make([]float64, len(logs))
	for i := range logs {
		inverse[i] = -logs[i]
	}
	a, b := ratioOf(logs), ratioOf(inverse)
	if math.Abs(a.Mean*b.Mean-1) > 1e-9 || math.Abs(a.Low*b.High-1) > 0.01 {
		t.Errorf("%+v is not the inverse of %+v", a, b)
	}
	if again := ratioOf(logs); again != a {
		t.Errorf("%+v, then %+v", a, again)
	}
}

func TestSmallSamplesAreHandled(t *testing.T) {
	if iv := bootstrap([]float64{3}); iv != (Interval{3, 3, 3, 1}) {
		t.Errorf("%+v", iv)
	}
	if iv := ratioOf(nil); iv != (Interval{}) {
		t.Errorf("%+v", iv)
	}
	if spread(nil) != (Spread{}) || median([]float64{4, 1, 3, 2}) != 2.5 || median([]float64{3, 1, 2}) != 2 {
		t.Error("median")
	}
}
