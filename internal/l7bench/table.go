package main

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// legend is printed once, above all tables.
const legend = `CPU time per request: of the balancer, as a multiple of nginx's in the same round, outside the kernel, of the machine.
MiB: proportional share of the balancer's processes after the load. calls: system calls per request.
`

// printTable prints medians over the rounds, and each engine's CPU time as a
// multiple of nginx's in the same round, with a bootstrap interval of 95 %.
func printTable(out io.Writer, name string, c load, all []measurement) {
	fmt.Fprintf(out, "\n%s: %s\n", name, c.about)
	t := newGrid(out, "µs/request", "of nginx's", "(95 %)", "user", "machine", "requests/s", "p50", "p99", "MiB", "calls", "errors")
	base := byRound(all, "nginx")
	for engine, own := range measured(all) {
		ratio, low, high := compare(own, base, func(m measurement) float64 { return float64(m.CPU) })
		t.row(engine,
			fmt.Sprintf("%.1f", micro(own, func(m measurement) time.Duration { return m.CPU })), ratio, low+"-"+high,
			fmt.Sprintf("%.1f", micro(own, func(m measurement) time.Duration { return m.User })),
			fmt.Sprintf("%.1f", micro(own, func(m measurement) time.Duration { return m.Machine })),
			fmt.Sprintf("%.0f", medianOf(own, func(m measurement) float64 { return m.Rate })),
			latency(micro(own, func(m measurement) time.Duration { return m.P50 })),
			latency(micro(own, func(m measurement) time.Duration { return m.P99 })),
			mib(medianOf(own, func(m measurement) float64 { return float64(m.Memory) })),
			calls(own), fmt.Sprint(int(medianOf(own, func(m measurement) float64 { return float64(m.Errors) }))))
	}
	t.Flush()
	if c.idle > 0 {
		printIdle(out, all)
	}
	printReasons(out, all)
}

// printIdle prints what the idle connections take; see idle for how to read it.
func printIdle(out io.Writer, all []measurement) {
	fmt.Fprint(out, "\nmemory of an engine that has, and has room for, none of the idle connections, and of one with all of them;\n",
		"what each of them takes by this, by what it grew when they came, and in descriptors and watches of the kernel's\n")
	t := newGrid(out, "MiB without", "MiB with", "bytes each", "of nginx's", "(95 %)", "grown", "kernel")
	base := byRound(all, "nginx")
	bytes := func(own map[int]measurement, f func(*idle) int64) float64 {
		return medianOf(own, func(m measurement) float64 { return float64(f(m.Idle)) })
	}
	for engine, own := range measured(all) {
		ratio, low, high := compare(own, base, func(m measurement) float64 { return float64(m.Idle.PerIdle) })
		t.row(engine,
			mib(bytes(own, func(i *idle) int64 { return i.Without })), mib(bytes(own, func(i *idle) int64 { return i.With })),
			fmt.Sprintf("%.0f", bytes(own, func(i *idle) int64 { return i.PerIdle })), ratio, low+"-"+high,
			fmt.Sprintf("%.0f", bytes(own, func(i *idle) int64 { return i.Growth })),
			fmt.Sprintf("%.0f", bytes(own, func(i *idle) int64 { return i.Kernel })))
	}
	t.Flush()
}

// printReasons prints what has no figures, at least in some rounds, and why.
func printReasons(out io.Writer, all []measurement) {
	whose := map[string][]string{}
	var reasons []string
	for _, m := range all {
		if m.Why == "" || slices.Contains(whose[m.Why], m.Engine) {
			continue
		}
		if whose[m.Why] == nil {
			reasons = append(reasons, m.Why)
		}
		whose[m.Why] = append(whose[m.Why], m.Engine)
	}
	for _, why := range reasons {
		first, _, _ := strings.Cut(why, "\n") // an engine's log may follow
		fmt.Fprintf(out, "not measured: %s: %s\n", strings.Join(whose[why], ", "), first)
	}
}

// grid is a table whose first column is the engines.
type grid struct{ *tabwriter.Writer }

func newGrid(out io.Writer, columns ...string) grid {
	g := grid{tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)}
	g.row("engine", columns...)
	return g
}

func (g grid) row(engine string, cells ...string) {
	fmt.Fprintf(g, "%-14s\t%s\t\n", engine, strings.Join(cells, "\t"))
}

// measured yields the engines that have figures, with these by round.
func measured(all []measurement) iter.Seq2[string, map[int]measurement] {
	return func(yield func(string, map[int]measurement) bool) {
		for _, engine := range engineNames() {
			if own := byRound(all, engine); len(own) > 0 && !yield(engine, own) {
				return
			}
		}
	}
}

// compare returns the median of f as multiples of the base's in the same round,
// and its interval; dashes if there is no base.
func compare(own, base map[int]measurement, f func(measurement) float64) (ratio, low, high string) {
	var ratios []float64
	for round, m := range own {
		if n, ok := base[round]; ok && f(n) > 0 {
			ratios = append(ratios, f(m)/f(n))
		}
	}
	if len(ratios) == 0 {
		return "-", "", ""
	}
	l, h := interval(ratios)
	two := func(r float64) string { return strconv.FormatFloat(r, 'f', 2, 64) }
	return two(median(ratios)), two(l), two(h)
}

// latency prints microseconds with three digits.
func latency(us float64) string {
	switch {
	case us < 1e3:
		return fmt.Sprintf("%.0fµs", us)
	case us < 1e6:
		return fmt.Sprintf("%.3gms", us/1e3)
	}
	return fmt.Sprintf("%.3gs", us/1e6)
}

func mib(bytes float64) string { return fmt.Sprintf("%.1f", bytes/(1<<20)) }

// calls prints the system calls per request, which one round at most has counted.
func calls(own map[int]measurement) string {
	for _, m := range own {
		if m.Syscalls > 0 {
			return fmt.Sprintf("%.2f", m.Syscalls)
		}
	}
	return "-"
}

func byRound(all []measurement, engine string) map[int]measurement {
	out := map[int]measurement{}
	for _, m := range all {
		if m.Engine == engine && m.Why == "" {
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
