package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"lbctl/internal/lb"
	"lbctl/internal/traffic"
)

// shares sets what each server answered against what the policy promises.
func shares(plan traffic.Arm, answers map[string]uint64) []Share {
	want := promised(plan)
	total := uint64(0)
	got := map[string]uint64{}
	for name, n := range answers {
		total += n
		got[name] += n
	}
	if plan.Direct && len(got) == len(plan.Targets) { // connections are spread evenly
		for name := range got {
			want[name] = 1
		}
	}
	// Several backends of one server ("s1", "s1:8080") answer with the name of their
	// node: fold what no answer names.
	for _, name := range slices.Sorted(maps.Keys(want)) {
		node, _, _ := strings.Cut(name, ":")
		if _, ok := got[name]; !ok && node != name {
			want[node] += want[name]
			delete(want, name)
		}
	}
	weights := 0.0
	for name, w := range want {
		weights += w
		got[name] += 0 // a backend that answered nothing is listed too
	}
	var out []Share
	for _, name := range slices.SortedFunc(maps.Keys(got), natural) {
		s := Share{Server: name, Requests: got[name]}
		if total > 0 {
			s.Got = float64(s.Requests) / float64(total)
		}
		if weights > 0 {
			s.Expected = want[name] / weights
		}
		out = append(out, s)
	}
	return out
}

// promised returns the weight that each backend should see of the traffic. Hashing
// by the client's address promises nothing with few clients, and policies that
// count connections follow the servers' speed: there the weights are 0.
func promised(plan traffic.Arm) map[string]float64 {
	w := map[string]float64{}
	for _, b := range plan.Service.Backends {
		eligible := b.Weight > 0 && b.Admin == lb.Enabled && b.Health != lb.Down
		switch {
		case !eligible:
			w[b.Name] += 0
		case plan.Service.Policy == lb.RoundRobin:
			w[b.Name]++
		case plan.Service.Policy == lb.WeightedRoundRobin, plan.Service.Policy == lb.Maglev:
			w[b.Name] += float64(b.Weight)
		default:
			w[b.Name] += 0
		}
	}
	return w
}

// natural sorts s2 before s10.
func natural(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
