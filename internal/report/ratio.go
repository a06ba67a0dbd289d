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
	between := fmt.Sprintf("%s of %s over %s", what, r.A, r.B)
	if iv.N == 0 {
		return fmt.Sprintf("no winner: there is no pair of runs for %s", between)
	}
	text := fmt.Sprintf("%s is %s", between, ratioText(iv))
	switch {
	case iv.N < minPairs:
		return fmt.Sprintf("no winner: %s, from fewer than %d pairs", text, minPairs)
	case max(a.failures(), b.failures()) > tooManyErrors:
		return fmt.Sprintf("no winner: more than %.0f %% of the requests failed (%s)", 100*tooManyErrors, text)
	case iv.Low <= 1 && iv.High >= 1:
		return fmt.Sprintf("no winner: %s, the interval includes 1", text)
	case !convincing(logs):
		return fmt.Sprintf("no winner: %s, too close to 1 to rely on", text)
	}
	r.Winner = r.A
	if (iv.Mean > 1) != (load.Rate == 0) {
		r.Winner = r.B
	}
	return fmt.Sprintf("winner %s: %s", r.Winner, text)
}

func ratioText(iv Interval) string {
	return fmt.Sprintf("%s (95 %%: %s to %s, %d pairs)", ratio(iv.Mean), ratio(iv.Low), ratio(iv.High), iv.N)
}
