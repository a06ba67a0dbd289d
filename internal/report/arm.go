package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"lbctl/internal/lb"
	"lbctl/internal/traffic"
)

func analyzeArm(m *traffic.Measurement, plan traffic.Arm, workload string) Arm {
	a := Arm{
		Name: plan.Name, Direct: plan.Direct, Plane: plan.Service.Plane, Policy: plan.Service.Policy,
		Forward: plan.Service.Forward, Errors: map[string]uint64{},
	}
	var rates []float64
	var latency traffic.Histogram
	servers := map[string]uint64{}
	var costs costs
	for _, r := range m.Runs {
		if r.Arm != plan.Name || r.Workload != workload {
			continue
		}
		if r.Error != "" {
			a.Failed = append(a.Failed, fmt.Sprintf("round %d: %s", r.Round, r.Error))
			continue
		}
		a.Runs++
		a.Requests += r.Result.Requests
		a.Answered += r.Result.Answered
		rates = append(rates, r.Result.Rate())
		latency.Merge(r.Result.Latency)
		addAll(a.Errors, r.Result.Errors)
		addAll(servers, r.Result.Servers)
		addSchedule(&a.Schedule, r.Result.Schedule)
		a.Bytes.In += r.Plane.Service.Counters.BytesIn
		a.Bytes.Out += r.Plane.Service.Counters.BytesOut
		if !a.Direct { // whatever the program met then was not of this load
			a.XDP.Packets += r.Plane.Run.Runs
			a.XDP.NsPerPacket += float64(r.Plane.Run.Total) // a total until all runs are in
		}
		costs.add(r, m.Conditions.Cores)
	}
	a.Rate = spread(rates)
	a.Latency = Latency{latency.Quantile(0.5), latency.Quantile(0.9), latency.Quantile(0.99), latency.Quantile(0.999), latency.Max()}
	a.Shares = shares(plan, servers)
	a.CPU = costs.cost()
	a.Bytes.Bypass = a.Plane == lb.L4 && (a.Forward == lb.DirectRouting || a.Forward == lb.Tunnel)
	if n := float64(a.Answered); n > 0 {
		a.Bytes.InPerOp, a.Bytes.OutPerOp = float64(a.Bytes.In)/n, float64(a.Bytes.Out)/n
		a.XDP.PerRequest = float64(a.XDP.Packets) / n
	}
	if a.XDP.Packets > 0 {
		a.XDP.NsPerPacket /= float64(a.XDP.Packets)
	}
	return a
}

// failures returns the fraction of requests that failed.
func (a *Arm) failures() float64 {
	failed := uint64(0)
	for _, n := range a.Errors {
		failed += n
	}
	if failed == 0 {
		return 0
	}
	return float64(failed) / float64(failed+a.Requests)
}

func addAll(to, from map[string]uint64) {
	for k, n := range from {
		to[k] += n
	}
}

func addSchedule(to *traffic.Schedule, from traffic.Schedule) {
	to.Due += from.Due
	to.Late += from.Late
	to.MaxLate = max(to.MaxLate, from.MaxLate)
	to.Queued += from.Queued
	to.Dropped += from.Dropped
}

// costs gathers the CPU figures of an arm's runs.
type costs struct {
	machine, busy []float64
	components    map[string][]float64
	steal         float64
}

func (c *costs) add(r traffic.Run, cores int) {
	if us, ok := machinePerRequest(r); ok {
		c.machine = append(c.machine, us)
	}
	if r.CPU.Elapsed > 0 && cores > 0 {
		all := float64(r.CPU.Elapsed) * float64(cores)
		c.busy = append(c.busy, float64(r.CPU.Busy)/all)
		c.steal = max(c.steal, float64(r.CPU.Machine.Steal)/all)
	}
	if r.Result.Answered == 0 {
		return
	}
	if c.components == nil {
		c.components = map[string][]float64{}
	}
	per := 1 / 1e3 / float64(r.Result.Answered)
	c.components["generator"] = append(c.components["generator"], float64(r.Result.CPU)*per)
	for name, d := range r.CPU.Groups {
		scaled := float64(d) * float64(r.Result.Elapsed) / float64(max(r.CPU.Elapsed, 1))
		c.components[name] = append(c.components[name], scaled*per)
	}
}

func (c *costs) cost() Cost {
	cost := Cost{Machine: spread(c.machine), Busy: median(c.busy), Steal: c.steal, Components: map[string]float64{}}
	for name, xs := range c.components {
		cost.Components[name] = median(xs)
	}
	return cost
}

// rest is what none of the components spent.
func (c *Cost) rest() float64 {
	rest := c.Machine.Median
	for _, us := range c.Components {
		rest -= us
	}
	return max(rest, 0)
}

func sortedKeys(h half) [][2]int {
	return slices.SortedFunc(maps.Keys(h), func(a, b [2]int) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
}
