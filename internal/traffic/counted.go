package traffic

import (
	"fmt"

	"lbctl/internal/lb"
)

// countedSince returns what the planes counted between two samples. A counter
// that went back says that its plane was loaded anew; it is left out.
func (s sample) countedSince(from sample, service lb.Service, warnings *[]string) Counted {
	var c Counted
	restarted := false
	sub := func(to, from uint64) uint64 {
		if to < from {
			restarted = true
			return 0
		}
		return to - from
	}
	counters := func(to, from lb.Counters) lb.Counters {
		return lb.Counters{
			Connections: sub(to.Connections, from.Connections), Requests: sub(to.Requests, from.Requests),
			PacketsIn: sub(to.PacketsIn, from.PacketsIn), BytesIn: sub(to.BytesIn, from.BytesIn),
			PacketsOut: sub(to.PacketsOut, from.PacketsOut), BytesOut: sub(to.BytesOut, from.BytesOut),
			Errors: sub(to.Errors, from.Errors), Retries: sub(to.Retries, from.Retries),
			Active: to.Active,
		}
	}

	if to, ok := findService(s.planes[service.Plane], service.Name); ok {
		before, _ := findService(from.planes[service.Plane], service.Name)
		c.Service = lb.ServiceStats{Name: to.Name, Counters: counters(to.Counters, before.Counters)}
		was := map[lb.BackendID]lb.Counters{}
		for _, b := range before.Backends {
			was[b.ID] = b.Counters
		}
		for _, b := range to.Backends {
			c.Service.Backends = append(c.Service.Backends, lb.BackendStats{ID: b.ID, Name: b.Name, Counters: counters(b.Counters, was[b.ID])})
		}
	}
	to, before := s.planes[lb.L4], from.planes[lb.L4]
	c.Run.Runs = sub(to.Run.Runs, before.Run.Runs)
	c.Run.Total = to.Run.Total - before.Run.Total
	was := map[string]uint64{}
	for _, v := range before.Verdicts {
		was[v.Name] = v.Packets
	}
	for _, v := range to.Verdicts {
		if n := sub(v.Packets, was[v.Name]); n > 0 {
			c.Verdicts = append(c.Verdicts, lb.Verdict{Name: v.Name, Text: v.Text, Packets: n})
		}
	}
	if restarted {
		*warnings = append(*warnings, fmt.Sprintf("a counter went back: a plane was loaded anew during the run of %s", service.Name))
	}
	return c
}

func findService(s lb.Stats, name string) (lb.ServiceStats, bool) {
	for _, v := range s.Services {
		if v.Name == name {
			return v, true
		}
	}
	return lb.ServiceStats{}, false
}
