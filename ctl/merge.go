package ctl

import (
	"slices"

	"lbctl/internal/lb"
)

// merge adds what a plane has counted on the other balancer to what it has on
// the active one, so that counters only grow when the other takes over. Levels
// are the active one's: its standby has the same flows, if any.
func merge(active, other lb.Stats) lb.Stats {
	out := active
	out.Services = slices.Clone(active.Services)
	for i := range out.Services {
		s := &out.Services[i]
		j := slices.IndexFunc(other.Services, func(o lb.ServiceStats) bool { return o.Name == s.Name })
		if j < 0 {
			continue
		}
		o := other.Services[j]
		s.Counters, s.HTTP = addCounters(s.Counters, o.Counters), s.HTTP.Add(o.HTTP)
		s.Backends = slices.Clone(s.Backends)
		for k := range s.Backends {
			b := &s.Backends[k]
			if n := slices.IndexFunc(o.Backends, func(o lb.BackendStats) bool { return o.ID == b.ID }); n >= 0 {
				b.Counters, b.HTTP = addCounters(b.Counters, o.Backends[n].Counters), b.HTTP.Add(o.Backends[n].HTTP)
			}
		}
	}
	out.Verdicts = slices.Clone(active.Verdicts)
	for i := range out.Verdicts {
		v := &out.Verdicts[i]
		if j := slices.IndexFunc(other.Verdicts, func(o lb.Verdict) bool { return o.Name == v.Name }); j >= 0 {
			v.Packets += other.Verdicts[j].Packets
		}
	}
	out.Run.Total += other.Run.Total
	out.Run.Runs += other.Run.Runs
	return out
}

// addCounters adds totals; levels stay a's.
func addCounters(a, b lb.Counters) lb.Counters {
	a.Connections += b.Connections
	a.Requests += b.Requests
	a.PacketsIn += b.PacketsIn
	a.BytesIn += b.BytesIn
	a.PacketsOut += b.PacketsOut
	a.BytesOut += b.BytesOut
	a.Errors += b.Errors
	a.Retries += b.Retries
	return a
}
