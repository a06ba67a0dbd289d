package scenario

import (
	"time"

	"lbctl/internal/lb"
)

// workloads resolves the workloads, or makes the two that show a balancer's
// cost from both sides: per request and per connection.
func (r *resolver) workloads() []Workload {
	entries := r.spec.Workloads.Entries
	if len(entries) == 0 {
		entries = []Entry[NodeName, WorkloadSpec]{
			{Key: Val[NodeName]{Value: "keepalive"}},
			{Key: Val[NodeName]{Value: "connect"}, Value: WorkloadSpec{KeepAlive: Val[Bool]{Value: false, Pos: Pos{1, 1}}}},
		}
	}
	var out []Workload
	for _, e := range entries {
		w := filled(e.Value)
		r.measurable(w)
		out = append(out, Workload{
			Name:        string(e.Key.Value),
			Connections: int(w.Connections.Value),
			Rate:        float64(w.Rate.Value),
			KeepAlive:   bool(w.KeepAlive.Value),
			Path:        string(w.Path.Value),
			Duration:    time.Duration(w.Duration.Value),
			Warmup:      time.Duration(w.Warmup.Value),
			Timeout:     time.Duration(w.Timeout.Value),
		})
	}
	return out
}

// longestTimeout is where the generator's latency histogram ends (traffic.Load).
const longestTimeout = time.Minute

// measurable notes what the generator would refuse, or measure nothing by.
func (r *resolver) measurable(w WorkloadSpec) {
	if t := time.Duration(w.Timeout.Value); t > longestTimeout {
		r.fail(w.Timeout.Pos, "", "timeout: want at most %s, where latencies end, not %s", span(longestTimeout), span(t))
	}
	window := time.Duration(w.Duration.Value)
	if w.Rate.IsSet() && float64(w.Rate.Value)*window.Seconds() < 1 {
		r.fail(w.Rate.Pos, "", "rate: no request would be due within the duration of %s", span(window))
	}
}

// compare resolves the comparison. Workloads and rounds are set also if no
// services are, for a comparison asked for by hand.
func (r *resolver) compare(workloads []Workload) Compare {
	typed := filled(r.spec.Compare)
	c := Compare{Rounds: int(typed.Rounds.Value)}
	c.Services = names(r, "service", typed.Services, r.svcNamed)
	for _, n := range typed.Services.Items {
		if s := r.svcNamed[string(n.Value)]; s != nil && s.VIP.Proto == lb.UDP {
			r.fail(n.Pos, "", "services: %s is udp: workloads are HTTP requests, over tcp", s.Name)
		} else if s != nil && isNone(s.spec.VIP) {
			r.fail(n.Pos, "", "services: %s has no VIP that a client could ask", s.Name)
		}
	}
	byName := map[string]bool{}
	for _, w := range workloads {
		byName[w.Name] = true
		if !typed.Workloads.IsSet() {
			c.Workloads = append(c.Workloads, w.Name)
		}
	}
	c.Workloads = append(c.Workloads, names(r, "workload", typed.Workloads, byName)...)
	if len(typed.Services.Items) == 1 {
		r.fail(typed.Services.Pos, "", "services: want two or more to compare")
	}
	if r.spec.Compare.Pos.IsSet() && !r.hasClient() {
		r.fail(r.spec.Compare.Pos, "", "compare: the lab has no client to send requests")
	}
	return c
}

func (r *resolver) hasClient() bool {
	for _, n := range r.nodes {
		if n.Role == RoleClient {
			return true
		}
	}
	return false
}

// names returns the names of a list, each of which must be known and there once.
func names[T any](r *resolver, what string, list List[Val[NodeName]], known map[string]T) []string {
	var out []string
	seen := map[NodeName]bool{}
	for _, n := range list.Items {
		if seen[n.Value] {
			r.fail(n.Pos, "", "%s %s is there twice", what, n.Value)
		}
		seen[n.Value] = true
		if _, ok := find(r, what, n, known); ok {
			out = append(out, string(n.Value))
		}
	}
	return out
}
