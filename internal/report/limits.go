package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"lbctl/internal/lb"
	"lbctl/internal/traffic"
)

const (
	saturated   = 0.95 // of all cores: nothing more fits the machine
	ownLimit    = 0.90 // of the cores a process may use
	asDirect    = 0.97 // of direct's requests/s: the balancer takes nothing that shows
	keptUp      = 0.97 // of the rate of an open loop
	foreign     = 0.50 // of the CPU, spent by none of the components
	lateShare   = 0.001
	stealShare  = 0.02
	shareOffset = 0.05
)

// limits says what, besides the balancer, may explain the figures.
func limits(m *traffic.Measurement, w *Workload, direct half) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }

	out = append(out, machineLimits(w)...)
	out = append(out, foreignLimit(w)...)
	for i := range w.Arms {
		a := &w.Arms[i]
		if by := generatorShare(m, a.Name, w.Name); by >= ownLimit {
			say("the generator was the limit of %s: it used %.0f %% of the cores it may use", a.Name, 100*by)
		}
		out = append(out, scheduleLimits(a, w)...)
		if !a.Direct && w.Rate == 0 {
			if r := newRatio(a.Name, "direct", halves(m.Runs, a.Name, w.Name), direct); r.Rate.N > 0 && r.Rate.Mean >= asDirect {
				say("%s has about the requests/s of direct, %s times them %s: client and servers, more than the balancer, set them", a.Name, ratio(r.Rate.Mean), evidence(r.Rate))
			}
		}
		if a.CPU.Steal > stealShare {
			say("the hypervisor took up to %.0f %% of the machine during %s", 100*a.CPU.Steal, a.Name)
		}
		if f := a.failures(); f > 0 {
			say("%s of the requests of %s failed, and their latency counts nowhere: %s", percent(f), a.Name, counts(a.Errors))
		}
		for _, f := range a.Failed {
			say("a run of %s gave no result: %s", a.Name, f)
		}
		if off := unevenConnections(a); off && w.KeepAlive {
			say("l4 places connections, not requests: %d of them over %d backends need not follow the weights of %s closely", w.Connections, len(a.Shares), a.Name)
		}
	}
	return append(out, warnings(m, w.Name)...)
}

// scheduleLimits says where an open loop did not go as it was planned.
func scheduleLimits(a *Arm, w *Workload) []string {
	s := a.Schedule
	if s.Due == 0 {
		return nil
	}
	due := count(float64(s.Due))
	var out []string
	if float64(s.Late) > lateShare*float64(s.Due) {
		out = append(out, fmt.Sprintf("the generator fell behind in %s: %s of %s requests left late, by up to %v; their latency contains that",
			a.Name, count(float64(s.Late)), due, s.MaxLate.Round(100*time.Microsecond)))
	}
	unsent := fmt.Sprintf("%s of %s requests were never sent, as all %d connections were busy", count(float64(s.Dropped)), due, w.Connections)
	switch {
	case a.Rate.Median < keptUp*w.Rate && s.Dropped > 0:
		out = append(out, fmt.Sprintf("%s did not keep up with %s requests/s, it answered %s: %s", a.Name, perSecond(w.Rate), count(a.Rate.Median), unsent))
	case a.Rate.Median < keptUp*w.Rate:
		out = append(out, fmt.Sprintf("%s did not keep up with %s requests/s, it answered %s: latencies say how long the run was, not how fast it is",
			a.Name, perSecond(w.Rate), count(a.Rate.Median)))
	case s.Dropped > 0:
		out = append(out, a.Name+": "+unsent)
	case float64(s.Queued) > lateShare*float64(s.Due):
		out = append(out, fmt.Sprintf("%s: %s of %s requests waited over 1 ms for one of %d connections; their latency contains that",
			a.Name, count(float64(s.Queued)), due, w.Connections))
	}
	return out
}

// foreignLimit says if much of the machine's CPU went to none of the components.
func foreignLimit(w *Workload) []string {
	worst, at := foreign, ""
	for _, a := range w.Arms {
		rest := a.CPU.rest()
		if a.CPU.Machine.Median > 0 && rest/a.CPU.Machine.Median > worst {
			worst, at = rest/a.CPU.Machine.Median, a.Name
		}
	}
	if at == "" {
		return nil
	}
	return []string{fmt.Sprintf("%s of the CPU during %s was spent by none of the components: by the kernel between them, or by something else that runs on this machine",
		percent(worst), at)}
}

func machineLimits(w *Workload) []string {
	lowest, highest, known := 1.0, 0.0, false
	for _, a := range w.Arms {
		if a.CPU.Busy > 0 {
			lowest, highest, known = min(lowest, a.CPU.Busy), max(highest, a.CPU.Busy), true
		}
	}
	busy := fmt.Sprintf("%.0f to %.0f %% busy", 100*lowest, 100*highest)
	if math.Round(100*lowest) == math.Round(100*highest) {
		busy = fmt.Sprintf("%.0f %% busy", 100*highest)
	}
	switch {
	case !known:
		return []string{"the machine's CPU is not known, so neither is what the balancer costs"}
	case w.Rate > 0 && highest >= saturated:
		return []string{fmt.Sprintf("machine saturated (%s): latencies contain waiting for a core; at a lower rate they would not", busy)}
	case w.Rate > 0:
		return []string{fmt.Sprintf("machine not saturated (%s): each request pays for cores that fall asleep and wake, so CPU per request compares only within this workload", busy)}
	case lowest >= saturated:
		s := fmt.Sprintf("machine saturated (%s): client, servers and balancer share its cores, so requests/s are its cores divided by the CPU of the whole path; for the balancer alone read its cost over direct", busy)
		if eaters := largest(w.Arms[0]); eaters != "" {
			s += fmt.Sprintf(" (of the CPU of direct, %s)", eaters)
		}
		return []string{s}
	case highest >= saturated:
		return []string{fmt.Sprintf("machine saturated in some arms (%s): their requests/s are bound by CPU, the others' by waiting", busy)}
	}
	return []string{fmt.Sprintf("machine not saturated (%s): with %d connections, requests/s are bound by the time an answer takes, not by CPU", busy, w.Connections)}
}

// largest names each component's share of an arm's CPU.
func largest(a Arm) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(a.CPU.Components)) {
		if share := a.CPU.Components[name] / a.CPU.Machine.Median; a.CPU.Machine.Median > 0 && share >= 0.05 {
			parts = append(parts, fmt.Sprintf("%s took %.0f %%", name, 100*share))
		}
	}
	return strings.Join(parts, ", ")
}

// generatorShare is the median share that the generator used of its cores.
func generatorShare(m *traffic.Measurement, arm, workload string) float64 {
	var xs []float64
	for _, r := range m.Runs {
		if r.Arm == arm && r.Workload == workload && r.Error == "" && r.Result.Elapsed > 0 && r.Result.Procs > 0 {
			xs = append(xs, float64(r.Result.CPU)/float64(r.Result.Elapsed)/float64(r.Result.Procs))
		}
	}
	return median(xs)
}

func unevenConnections(a *Arm) bool {
	return a.Plane == lb.L4 && slices.ContainsFunc(a.Shares, func(s Share) bool {
		return s.Expected > 0 && max(s.Got-s.Expected, s.Expected-s.Got) > shareOffset
	})
}

func counts(errors map[string]uint64) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(errors)) {
		parts = append(parts, kind+" "+count(float64(errors[kind])))
	}
	return strings.Join(parts, ", ")
}

// warnings lists what runs said about themselves, each once.
func warnings(m *traffic.Measurement, workload string) []string {
	var out []string
	for _, r := range m.Runs {
		if r.Workload != workload {
			continue
		}
		said := r.Warnings
		if r.Result.Stopped != "" {
			said = append(slices.Clone(said), "a run ended early: "+r.Result.Stopped)
		}
		for _, s := range said {
			if s = r.Arm + ": " + s; !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}
