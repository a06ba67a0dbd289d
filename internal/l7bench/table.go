package main

import (
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"text/tabwriter"
	"time"
)

// printTable prints medians over the rounds, and each engine's CPU time as a
// multiple of nginx's in the same round, with a bootstrap interval of 95 %.
func printTable(out io.Writer, name string, c load, all []measurement) {
	fmt.Fprintf(out, "\n%s: %s\n", name, c.about)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "engine\tµs/request\tof nginx's\tinterval\tuser µs\tmachine µs\trequests/s\tp50\tp99\tMiB\tB/idle\tcalls\terrors\t")
	base := byRound(all, "nginx")
	for _, engine := range engineNames() {
		own := byRound(all, engine)
		if len(own) == 0 {
			continue
		}
		var ratios []float64
		for round, m := range own {
			if n, ok := base[round]; ok && n.CPU > 0 {
				ratios = append(ratios, float64(m.CPU)/float64(n.CPU))
			}
		}
		low, high := interval(ratios)
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f-%.2f\t%.2f\t%.1f\t%.0f\t%v\t%v\t%.1f\t%d\t%.2f\t%d\t\n", engine,
			micro(own, func(m measurement) time.Duration { return m.CPU }), median(ratios), low, high,
			micro(own, func(m measurement) time.Duration { return m.User }), micro(own, func(m measurement) time.Duration { return m.Machine }),
			medianOf(own, func(m measurement) float64 { return m.Rate }),
			time.Duration(medianOf(own, func(m measurement) float64 { return float64(m.P50) })).Round(10*time.Microsecond),
			time.Duration(medianOf(own, func(m measurement) float64 { return float64(m.P99) })).Round(10*time.Microsecond),
			medianOf(own, func(m measurement) float64 { return float64(m.Memory) })/(1<<20),
			int64(medianOf(own, func(m measurement) float64 { return float64(m.PerIdle) })),
			medianOf(own, func(m measurement) float64 { return m.Syscalls }),
			int(medianOf(own, func(m measurement) float64 { return float64(m.Errors) })))
	}
	t.Flush()
}

func byRound(all []measurement, engine string) map[int]measurement {
	out := map[int]measurement{}
	for _, m := range all {
		if m.Engine == engine {
			out[m.Round] = m
		}
	}
	return out
}

func micro(of map[int]measurement, f func(measurement) time.Duration) float64 {
	return medianOf(of, func(m measurement) float64 { return float64(f(m)) / 1e3 })
}

func medianOf(of map[int]measurement, f func(measurement) float64) float64 {
	var values []float64
	for _, m := range of {
		values = append(values, f(m))
	}
	return median(values)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.SortedFunc(slices.Values(values), cmp.Compare[float64])
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// interval resamples the values and returns between what 95 % of the medians are.
func interval(values []float64) (low, high float64) {
	if len(values) == 0 {
		return 0, 0
	}
	random := rand.New(rand.NewPCG(1, 2))
	medians := make([]float64, 2000)
	again := make([]float64, len(values))
	for i := range medians {
		for k := range again {
			again[k] = values[random.IntN(len(values))]
		}
		medians[i] = median(again)
	}
	slices.Sort(medians)
	return medians[len(medians)*25/1000], medians[len(medians)*975/1000]
}
