package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Report is what a Result says.
type Report struct {
	Kernel     string   `json:"kernel"`
	Conditions []string `json:"conditions"`
	Rows       []Row    `json:"rows"`
	Faults     []string `json:"faults,omitempty"`
}

// Row is one arm under one load, over all rounds.
type Row struct {
	Arm        string  `json:"arm"`
	KeepAlive  bool    `json:"keep_alive"`
	Rate       float64 `json:"rate"`        // requests per virtual second, median
	PerRequest float64 `json:"per_request"` // instructions of the whole machine, median
	Added      float64 `json:"added"`       // over direct in the same round, median
	Lowest     float64 `json:"lowest"`      // added in any round
	Highest    float64 `json:"highest"`
	OfIPVS     float64 `json:"of_ipvs,omitempty"` // added, as a multiple of what IPVS adds by the same forward
	Least      float64 `json:"least,omitempty"`   // of IPVS, in any round
	Most       float64 `json:"most,omitempty"`

	added map[int]float64 // by round
}

func (r *Result) report() Report {
	report := Report{Kernel: r.Kernel, Conditions: r.Conditions}
	for _, run := range r.Runs {
		if fault := run.fault(); fault != "" {
			report.Faults = append(report.Faults, fmt.Sprintf("%s, %s, round %d: %s", run.Arm, loadName(run.KeepAlive), run.Round, fault))
		}
	}
	for _, keepAlive := range []bool{true, false} {
		rows := map[string]Row{}
		for _, a := range arms() {
			row, ok := r.row(a, keepAlive)
			if !ok {
				continue
			}
			if base := rows["ipvs "+string(a.Forward)]; a.Name != base.Arm && base.Added > 0 {
				row.compare(base)
			}
			rows[a.Name] = row
			report.Rows = append(report.Rows, row)
		}
	}
	return report
}

func (r *Result) row(a arm, keepAlive bool) (Row, bool) {
	base := map[int]float64{}
	for _, run := range r.Runs {
		if run.Arm == direct && run.KeepAlive == keepAlive {
			base[run.Round] = run.perRequest()
		}
	}
	var costs []float64
	byRound := map[int]float64{}
	for _, run := range r.Runs {
		if run.Arm == a.Name && run.KeepAlive == keepAlive {
			costs = append(costs, run.perRequest())
			byRound[run.Round] = run.perRequest() - base[run.Round]
		}
	}
	if len(costs) == 0 {
		return Row{}, false
	}
	cost, added := median(costs), slices.Collect(maps.Values(byRound))
	return Row{
		Arm: a.Name, KeepAlive: keepAlive, Rate: 1e9 / float64(instruction) / cost, PerRequest: cost,
		Added: median(added), Lowest: slices.Min(added), Highest: slices.Max(added),
		added: byRound,
	}, true
}

// compare sets the row against that of IPVS. The ratio is one of medians; those of single rounds are its spread.
func (r *Row) compare(ipvs Row) {
	r.OfIPVS = r.Added / ipvs.Added
	var ratios []float64
	for round, added := range r.added {
		if base := ipvs.added[round]; base > 0 {
			ratios = append(ratios, added/base)
		}
	}
	if len(ratios) > 0 {
		r.Least, r.Most = slices.Min(ratios), slices.Max(ratios)
	}
}

func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func loadName(keepAlive bool) string {
	if keepAlive {
		return "keep-alive"
	}
	return "connection per request"
}

func (r Report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Instructions per request of the whole path, client and servers included; Linux %s\n", r.Kernel)
	for _, c := range r.Conditions {
		fmt.Fprintf(&b, "- %s\n", c)
	}
	last := ""
	for _, row := range r.Rows {
		if name := loadName(row.KeepAlive); name != last {
			fmt.Fprintf(&b, "\n%-24s %12s %12s %10s %17s %8s %12s\n", name, "requests/s", "instructions", "added", "in any round", "of IPVS", "in any round")
			last = name
		}
		fmt.Fprintf(&b, "%-24s %12.0f %12.0f", row.Arm, row.Rate, row.PerRequest)
		if row.Arm != direct {
			fmt.Fprintf(&b, " %10.0f %8.0f–%-8.0f", row.Added, row.Lowest, row.Highest)
		}
		if row.OfIPVS != 0 {
			fmt.Fprintf(&b, " %7.2f× %5.2f–%.2f", row.OfIPVS, row.Least, row.Most)
		}
		b.WriteByte('\n')
	}
	for _, fault := range r.Faults {
		fmt.Fprintf(&b, "\nnot valid: %s", fault)
	}
	return b.String()
}
