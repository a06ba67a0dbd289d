package report

import (
	"fmt"
	"math"

	"lbctl/internal/traffic"
)

// Ratio compares two arms, A over B, paired by half round. There is no ratio of
// what the two add to direct: that of a cheap balancer is close to nothing, and a
// quotient of two noisy numbers near zero means nothing. Added is their difference.
type Ratio struct {
	A      string   `json:"a"`
	B      string   `json:"b"`
	Rate   Interval `json:"rate"`   // requests/s: above 1, A does more
	CPU    Interval `json:"cpu"`    // whole-machine CPU per request: below 1, A costs less
	Added  Interval `json:"added"`  // µs per request that A costs more than B
	Winner string   `json:"winner"` // by Rate in a closed loop, by CPU in an open one; empty: none can be named

	rateLogs, cpuLogs []float64
}

func newRatio(a, b string, runsA, runsB half) Ratio {
	r := Ratio{A: a, B: b}
	pairs(runsA, runsB, func(x, y traffic.Run) {
		if x.Result.Rate() > 0 && y.Result.Rate() > 0 {
			r.rateLogs = append(r.rateLogs, math.Log(x.Result.Rate()/y.Result.Rate()))
		}
		cx, ok := machinePerRequest(x)
		cy, ok2 := machinePerRequest(y)
		if ok && ok2 && cx > 0 && cy > 0 {
			r.cpuLogs = append(r.cpuLogs, math.Log(cx/cy))
		}
	})
	r.Rate, r.CPU = ratioOf(r.rateLogs), ratioOf(r.cpuLogs)
	r.Added = added(runsA, runsB)
	return r
}

// tooManyErrors is the fraction of failed requests with which nobody wins.
const tooManyErrors = 0.01

// judge names the winner if there is one, and says it in a sentence. One figure
// decides, as each further one would be another chance to be wrong: requests/s
// where the load gives way, CPU where the rate is given.
func (r *Ratio) judge(load traffic.Workload, a, b *Arm) string {
	logs, iv, what := r.rateLogs, r.Rate, "requests/s"
	if load.Rate > 0 {
		logs, iv, what = r.cpuLogs, r.CPU, "CPU per request"
	}
	if iv.N == 0 {
		return fmt.Sprintf("no winner: there is no pair of runs that gives %s of both %s and %s", what, r.A, r.B)
	}
	text := fmt.Sprintf("%s has %s times the %s of %s %s", r.A, ratio(iv.Mean), what, r.B, evidence(iv))
	switch {
	case max(a.failures(), b.failures()) > tooManyErrors:
		return fmt.Sprintf("no winner: more than %.0f %% of the requests failed; %s", 100*tooManyErrors, text)
	case iv.N < minPairs:
		return fmt.Sprintf("no winner: %s of runs cannot decide, %d could (%d rounds); %s", plural(iv.N, "pair"), minPairs, minPairs/2, text)
	case iv.Low <= 1 && iv.High >= 1:
		return fmt.Sprintf("no winner: %s, and the interval includes 1", text)
	case slight(mean(logs)):
		return fmt.Sprintf("no winner: %s, which is less than %.0f %% apart", text, 100*minEffect)
	case !convincing(logs):
		return fmt.Sprintf("no winner: %s, but the pairs differ too much among themselves to rely on that", text)
	}
	loser, ofWinner := r.B, iv
	r.Winner = r.A
	if (iv.Mean > 1) != (load.Rate == 0) {
		r.Winner, loser = r.B, r.A
		ofWinner = Interval{Mean: 1 / iv.Mean, Low: 1 / iv.High, High: 1 / iv.Low, N: iv.N}
	}
	return fmt.Sprintf("%s wins: %s times the %s of %s %s", r.Winner, ratio(ofWinner.Mean), what, loser, evidence(ofWinner))
}

// evidence is what stands behind a ratio: "(95 %: 2.10 to 2.55, 6 pairs)".
func evidence(iv Interval) string {
	if iv.N < 2 {
		return "(" + plural(iv.N, "pair") + ")"
	}
	return fmt.Sprintf("(95 %%: %s to %s, %d pairs)", ratio(iv.Low), ratio(iv.High), iv.N)
}
