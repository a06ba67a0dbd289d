package report

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
	"lbctl/internal/traffic"
)

func calm(seed uint64) *model {
	return &model{r: rand.New(rand.NewPCG(seed, 1)), driftSD: 0.05, stay: 0.9, runSD: 0.02}
}

func l7(name string) lb.Service {
	return lb.Service{Name: name, Plane: lb.L7, Policy: lb.WeightedRoundRobin, Backends: backends(2, 1, 1)}
}

func says(limits []string, part string) bool {
	return slices.ContainsFunc(limits, func(s string) bool { return strings.Contains(s, part) })
}

func TestIdenticalServicesHaveNoWinner(t *testing.T) {
	named := 0
	for seed := range uint64(20) {
		w := Analyze(fixture(t, 4, calm(seed), map[string]float64{"direct": 24, "a": 60, "b": 60}, l7("a"), l7("b"))).Workloads[0]
		if w.Ratios[0].Winner != "" {
			named++
		}
	}
	if named > 1 {
		t.Errorf("a winner in %d of 20 comparisons of a service with its like", named)
	}
}

func TestTheFasterServiceWinsUnderEitherName(t *testing.T) {
	for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
		w := Analyze(fixture(t, 4, calm(1), map[string]float64{"direct": 24, "a": 30, "b": 60}, l7(names[0]), l7(names[1]))).Workloads[0]
		r := w.Ratios[0]
		if r.Winner != "a" || !strings.HasPrefix(w.Verdicts[0], "a wins: ") || !strings.Contains(w.Verdicts[0], " times the requests/s of b (95 %: 1.") || r.A != names[0] {
			t.Errorf("%v: %+v, %s", names, r, w.Verdicts[0])
		}
		if got := w.arm("b").Added; got.Low > 36 || got.High < 36 || got.N != 8 {
			t.Errorf("b adds %+v to direct, want 36", got)
		}
	}
}

func TestBenchComparesItsServiceWithDirect(t *testing.T) {
	w := Analyze(fixture(t, 4, calm(2), map[string]float64{"direct": 24, "a": 48}, l7("a"))).Workloads[0]
	if len(w.Ratios) != 1 || w.Ratios[0].B != "direct" || w.Ratios[0].Winner != "direct" || w.Arms[0].Name != "direct" {
		t.Errorf("%+v", w.Ratios)
	}
	if !says(w.Limits, "machine saturated (100 % busy)") || says(w.Limits, "about the requests/s of direct") {
		t.Errorf("limits: %v", w.Limits)
	}
}

func TestReportSaysWhatElseWasTheLimit(t *testing.T) {
	m := fixture(t, 4, calm(3), map[string]float64{"direct": 24, "a": 24, "b": 60}, l7("a"), l7("b"))
	for i := range m.Runs {
		r := &m.Runs[i]
		if r.Arm == "a" {
			r.Result.CPU = 3900 * time.Millisecond
			r.CPU.Machine.Steal = 200 * time.Millisecond
		}
		if r.Arm == "b" {
			r.Result.Errors["reset"] = r.Result.Requests / 10
			r.Warnings = []string{"process 7 of l7 ended"}
		}
	}
	m.Runs[1].Error, m.Runs[1].Result = "generator gone", traffic.Result{}
	w := Analyze(m).Workloads[0]
	for _, want := range []string{
		"the generator was the limit of a", "a has about the requests/s of direct", "the hypervisor took up to 5 % of the machine during a", "9.1 % of the requests of b failed, and their latency counts nowhere: reset",
		"b: process 7 of l7 ended", "a run of a gave no result: round 1: generator gone",
	} {
		if !says(w.Limits, want) {
			t.Errorf("does not say %q: %s", want, strings.Join(w.Limits, "\n"))
		}
	}
	if w.Ratios[0].Winner != "" || !strings.Contains(w.Verdicts[0], "requests failed") || w.Ratios[0].Rate.N != 7 {
		t.Errorf("%s, %+v", w.Verdicts[0], w.Ratios[0])
	}
}

func TestOpenLoopIsJudgedByCPU(t *testing.T) {
	m := fixture(t, 4, calm(4), map[string]float64{"direct": 24, "a": 40, "b": 60}, l7("a"), l7("b"))
	m.Plan.Workloads[0].Rate = 10_000
	for i := range m.Runs {
		r := &m.Runs[i]
		us := 4e6 / float64(r.Result.Requests)
		r.Result.Requests, r.Result.Answered = 20_000, 20_000
		r.Result.Schedule = traffic.Schedule{Due: 20_000}
		r.CPU.Busy = time.Duration(us*20_000) * time.Microsecond
		if r.Arm == "b" {
			r.Result.Schedule.Late, r.Result.Schedule.MaxLate, r.Result.Schedule.Dropped = 500, 12*time.Millisecond, 7
		}
	}
	w := Analyze(m).Workloads[0]
	if w.Ratios[0].Winner != "a" || !strings.Contains(w.Verdicts[0], "a wins: 0.66 times the CPU per request of b") {
		t.Errorf("%s", w.Verdicts)
	}
	if !says(w.Limits, "the generator fell behind in b: 4,000 of 160,000 requests left late, by up to 12ms") || !says(w.Limits, "b: 56 of 160,000 requests were never sent") || says(w.Limits, "machine saturated") {
		t.Errorf("limits: %v", w.Limits)
	}
}

func TestAServiceThatCannotKeepUpIsNotCreditedWithWhatItAnsweredLater(t *testing.T) {
	m := fixture(t, 3, calm(6), map[string]float64{"direct": 24, "a": 40, "b": 60}, l7("a"), l7("b"))
	m.Plan.Workloads[0].Rate = 50_000
	for i := range m.Runs {
		r := &m.Runs[i]
		r.Result.Requests = 100_000 // in the end
		r.Result.Schedule = traffic.Schedule{Due: 100_000}
		if r.Arm == "a" {
			r.Result.Answered = 100_000
			r.Result.Schedule.Queued = 1000
		}
	}
	w := Analyze(m).Workloads[0]
	b := w.arm("b")
	if b.Rate.Median > 40_000 || b.CPU.Machine.Median < 50 || b.CPU.Components["servers"] > 9 {
		t.Errorf("b answered 33,000 requests/s at 60 µs each: %+v, %+v", b.Rate, b.CPU)
	}
	if !says(w.Limits, "b did not keep up with 50,000 requests/s, it answered 3") || says(w.Limits, "a did not keep up") || !says(w.Limits, "a: 6,000 of 600,000 requests waited over 1 ms for one of 64 connections") {
		t.Errorf("limits: %s", strings.Join(w.Limits, "\n"))
	}
}

func TestTheDirectArmHasNoXDPFigures(t *testing.T) {
	m := fixture(t, 3, calm(7), map[string]float64{"direct": 24, "a": 40}, l7("a"))
	for i := range m.Runs {
		m.Runs[i].Plane.Run = lb.RunTime{Runs: 9, Total: 5000} // health checks, ARP
	}
	w := Analyze(m).Workloads[0]
	if w.Arms[0].XDP != (XDP{}) || w.Arms[1].XDP.Packets == 0 {
		t.Errorf("direct %+v, a %+v", w.Arms[0].XDP, w.Arms[1].XDP)
	}
}

func TestAVerdictSaysWhyNobodyWins(t *testing.T) {
	for _, test := range []struct {
		logs []float64
		want string
	}{
		{[]float64{1}, "no winner: 1 pair of runs cannot decide, 6 could (3 rounds); a has 2.72 times the requests/s of b (1 pair)"},
		{[]float64{1, 1}, "no winner: 2 pairs of runs cannot decide, 6 could (3 rounds); a has 2.72 times the requests/s of b (95 %: 2.72 to 2.72, 2 pairs)"},
		{[]float64{-.1, .1, -.1, .1, -.1, .1}, "no winner: a has 1.00 times the requests/s of b (95 %: 0.90 to 1.11, 6 pairs), and the interval includes 1"},
		{[]float64{.01, .01, .01, .01, .01, .01}, "no winner: a has 1.01 times the requests/s of b (95 %: 1.01 to 1.01, 6 pairs), which is less than 2 % apart"},
		{[]float64{.01, .01, .01, .01, .1, .9}, "no winner: a has 1.19 times the requests/s of b (95 %: 1.01 to 1.86, 6 pairs), but the pairs differ too much among themselves to rely on that"},
	} {
		r := Ratio{A: "a", B: "b", rateLogs: test.logs, Rate: ratioOf(test.logs)}
		if got := r.judge(traffic.Workload{}, &Arm{}, &Arm{}); got != test.want {
			t.Errorf("%v:\n%s, want\n%s", test.logs, got, test.want)
		}
	}
	r := Ratio{A: "a", B: "b", Rate: ratioOf([]float64{1})}
	if got := r.judge(traffic.Workload{}, &Arm{}, &Arm{Errors: map[string]uint64{"reset": 1}}); !strings.HasPrefix(got, "no winner: more than 1 % of the requests failed; a has 2.72") {
		t.Error(got)
	}
}

func TestNumbersReadAsAPersonWouldWriteThem(t *testing.T) {
	for f, want := range map[float64]string{0: "0 %", 0.00001: "below 0.01 %", 0.0123: "1.2 %", 0.091: "9.1 %", 0.43: "43 %", 0.999: "over 99 %", 1: "100 %"} {
		if got := percent(f); got != want {
			t.Errorf("%v: %s, want %s", f, got, want)
		}
	}
	for rate, want := range map[float64]string{25_000: "25,000", 1e6: "1,000,000", 300: "300", 100.0 / 60: "1.667", 0.5: "0.5"} {
		if got := perSecond(rate); got != want {
			t.Errorf("%v: %s, want %s", rate, got, want)
		}
	}
	if got := bracket(Interval{Mean: -126.32, Low: -145.9, High: 2.04, N: 6}, signed) + bracket(Interval{Mean: 3, N: 1}, signed); got != "-126 [-146 … +2.0]+3.0" {
		t.Error(got)
	}
}

func TestPartialAndEmptyMeasurementsAreReported(t *testing.T) {
	m := fixture(t, 4, calm(5), map[string]float64{"direct": 24, "a": 40, "b": 60}, l7("a"), l7("b"))
	for _, keep := range []int{0, 1, 2, 4, 9} {
		part := *m
		part.Runs = m.Runs[:keep]
		part.Incomplete = fmt.Sprintf("stopped after %d of 24 runs", keep)
		r := Analyze(&part)
		if w := r.Workloads[0]; !strings.HasPrefix(w.Verdicts[0], "no winner: ") || w.Ratios[0].Winner != "" {
			t.Errorf("%d runs: %s", keep, w.Verdicts)
		}
		var b strings.Builder
		if err := r.WriteTable(&b, false); err != nil || !strings.Contains(b.String(), part.Incomplete) || strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
			t.Errorf("%d runs: %v\n%s", keep, err, b.String())
		}
		if err := r.WriteJSON(io.Discard); err != nil {
			t.Errorf("%d runs: %v", keep, err)
		}
	}
}

func TestSharesAreSetAgainstTheirWeights(t *testing.T) {
	arm := func(p lb.Policy, names ...string) traffic.Arm {
		s := lb.Service{Policy: p}
		for i, n := range names {
			s.Backends = append(s.Backends, lb.Backend{Name: n, Weight: uint32(i + 1)})
		}
		return traffic.Arm{Service: s}
	}
	drained := arm(lb.WeightedRoundRobin, "s1", "s2")
	drained.Service.Backends[0].Admin = lb.Draining
	tests := []struct {
		name    string
		arm     traffic.Arm
		answers map[string]uint64
		want    string
	}{
		{"weights", arm(lb.WeightedRoundRobin, "s1", "s2", "s3"), map[string]uint64{"s1": 1, "s2": 2, "s3": 3}, "s1 0.17/0.17 s2 0.33/0.33 s3 0.50/0.50"},
		{"rr ignores weights", arm(lb.RoundRobin, "s1", "s2"), map[string]uint64{"s1": 1, "s2": 1}, "s1 0.50/0.50 s2 0.50/0.50"},
		{"hashing promises nothing", arm(lb.SourceHash, "s1", "s2"), map[string]uint64{"s1": 4}, "s1 1.00/0.00 s2 0.00/0.00"},
		{"ports of one node", arm(lb.WeightedRoundRobin, "s1", "s1:81", "s2"), map[string]uint64{"s1": 3, "s2": 3}, "s1 0.50/0.50 s2 0.50/0.50"},
		{"a draining backend", drained, map[string]uint64{"s2": 5}, "s1 0.00/0.00 s2 1.00/1.00"},
		{"natural order", traffic.Arm{}, map[string]uint64{"s10": 1, "s9": 1}, "s9 0.50/0.00 s10 0.50/0.00"},
		{"no answers", arm(lb.RoundRobin, "s1"), nil, "s1 0.00/1.00"},
	}
	for _, test := range tests {
		var got []string
		for _, s := range shares(test.arm, test.answers) {
			got = append(got, fmt.Sprintf("%s %.2f/%.2f", s.Server, s.Got, s.Expected))
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("%s: %s, want %s", test.name, s, test.want)
		}
	}
}
