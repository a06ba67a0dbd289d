package ipvsadm

import (
	"math"
	"time"

	"lbctl/internal/lb"
)

// Sample is what an L4 service and its backends had counted at a time.
type Sample struct {
	At       time.Time
	Services map[string]lb.ServiceStats // by name
}

// Count fills in what the services in table, made by FromServices from these,
// have counted. Between two samples, unless before is empty, lie the rates.
func Count(table []Service, services []lb.Service, before, now Sample) {
	byKey := map[Key]lb.Service{}
	for _, v := range services {
		if v.Plane == lb.L4 {
			byKey[keyOf(v.VIP)] = v
		}
	}
	seconds := now.At.Sub(before.At).Seconds()
	for i := range table {
		s := &table[i]
		v := byKey[s.Key]
		was, is := before.Services[v.Name], now.Services[v.Name]
		s.Stats = stats(was.Counters, is.Counters, seconds)
		for j := range s.Dests {
			b := v.Backends[len(v.Backends)-1-j] // FromServices turns them round
			w, c := backendCounters(was, b.ID), backendCounters(is, b.ID)
			s.Dests[j].Stats = stats(w, c, seconds)
			s.Dests[j].Active, s.Dests[j].Inactive = level(c.Active), level(c.Inactive)
			s.Dests[j].Persistent = level(c.Sticky)
		}
	}
}

func backendCounters(s lb.ServiceStats, id lb.BackendID) lb.Counters {
	for _, b := range s.Backends {
		if b.ID == id {
			return b.Counters
		}
	}
	return lb.Counters{}
}

func level(n uint64) uint32 { return uint32(min(n, math.MaxUint32)) }

func stats(was, is lb.Counters, seconds float64) Stats {
	rate := func(was, is uint64) uint64 {
		if was > is || seconds <= 0 {
			return 0
		}
		return uint64(math.Round(float64(is-was) / seconds))
	}
	return Stats{
		Conns: is.Connections, InPkts: is.PacketsIn, OutPkts: is.PacketsOut, InBytes: is.BytesIn, OutBytes: is.BytesOut,
		CPS: rate(was.Connections, is.Connections), InPPS: rate(was.PacketsIn, is.PacketsIn), OutPPS: rate(was.PacketsOut, is.PacketsOut),
		InBPS: rate(was.BytesIn, is.BytesIn), OutBPS: rate(was.BytesOut, is.BytesOut),
	}
}
