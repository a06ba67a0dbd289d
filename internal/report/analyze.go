package report

import (
	"lbctl/internal/traffic"
)

// Analyze draws from a Measurement what it can bear, also from an incomplete one.
func Analyze(m *traffic.Measurement) *Report {
	r := &Report{
		Schema: m.Schema, Name: m.Plan.Name, Started: m.Started, Took: m.Finished.Sub(m.Started),
		Rounds: m.Plan.Rounds, Incomplete: m.Incomplete, Conditions: m.Conditions,
	}
	for _, w := range m.Plan.Workloads {
		r.Workloads = append(r.Workloads, analyzeWorkload(m, w))
	}
	return r
}

func analyzeWorkload(m *traffic.Measurement, load traffic.Workload) Workload {
	w := Workload{Workload: load}
	var services []traffic.Arm
	direct := half{}
	var directArm traffic.Arm
	for _, a := range m.Plan.Arms {
		if a.Direct {
			direct, directArm = halves(m.Runs, a.Name, load.Name), a
			w.Arms = append([]Arm{analyzeArm(m, a, load.Name)}, w.Arms...)
			continue
		}
		services = append(services, a)
		w.Arms = append(w.Arms, analyzeArm(m, a, load.Name))
	}
	for i := range w.Arms {
		if a := &w.Arms[i]; !a.Direct {
			a.Added = added(halves(m.Runs, a.Name, load.Name), direct)
		}
	}
	compare := func(a, b traffic.Arm) {
		r := newRatio(a.Name, b.Name, halves(m.Runs, a.Name, load.Name), halves(m.Runs, b.Name, load.Name))
		w.Verdicts = append(w.Verdicts, r.judge(load, w.arm(a.Name), w.arm(b.Name)))
		w.Ratios = append(w.Ratios, r)
	}
	for i, a := range services {
		for _, b := range services[i+1:] {
			compare(a, b)
		}
	}
	if len(services) == 1 {
		compare(services[0], directArm)
	}
	w.Limits = limits(m, &w, direct)
	return w
}

func (w *Workload) arm(name string) *Arm {
	for i := range w.Arms {
		if w.Arms[i].Name == name {
			return &w.Arms[i]
		}
	}
	return nil
}

// half holds one arm's runs that gave a result, by the half round they were made in.
type half map[[2]int]traffic.Run

func halves(runs []traffic.Run, arm, workload string) half {
	h := half{}
	for _, r := range runs {
		if r.Arm == arm && r.Workload == workload && r.Error == "" {
			h[[2]int{r.Round, r.Half}] = r
		}
	}
	return h
}

// pairs calls f for the runs of two arms that were neighbours in time, in a fixed order.
func pairs(m, n half, f func(a, b traffic.Run)) {
	for _, key := range sortedKeys(m) {
		if b, ok := n[key]; ok {
			f(m[key], b)
		}
	}
}

// machinePerRequest is the whole machine's CPU in µs per request. The two
// samples lie a little outside the generator's window, so the time between them
// is scaled to it.
func machinePerRequest(r traffic.Run) (us float64, ok bool) {
	if r.Result.Answered == 0 || r.CPU.Elapsed <= 0 || r.Result.Elapsed <= 0 {
		return 0, false
	}
	busy := float64(r.CPU.Busy) * float64(r.Result.Elapsed) / float64(r.CPU.Elapsed)
	return busy / 1e3 / float64(r.Result.Answered), true
}

// added is what an arm costs over direct, each run less the direct run beside it.
func added(arm, direct half) Interval {
	var diffs []float64
	pairs(arm, direct, func(a, d traffic.Run) {
		x, ok := machinePerRequest(a)
		y, ok2 := machinePerRequest(d)
		if ok && ok2 {
			diffs = append(diffs, x-y)
		}
	})
	if len(diffs) == 0 {
		return Interval{}
	}
	return interval(diffs)
}
