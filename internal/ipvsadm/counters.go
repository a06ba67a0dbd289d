package ipvsadm

import (
	"math"
	"slices"
	"time"

	"lbctl/internal/lb"
)

// Sample is what an L4 service and its backends had counted at a time.
type Sample struct {
	At       time.Time
	Services map[string]lb.ServiceStats // by name
}

// Since is what was counted after zero, but for levels. A service that has counted
// less than by then is another one: it counts from its own beginning.
func (s Sample) Since(zero Sample) Sample {
	out := Sample{At: s.At, Services: map[string]lb.ServiceStats{}}
	for name, is := range s.Services {
		was := zero.Services[name]
		if c, ok := since(is.Counters, was.Counters); ok {
			is.Counters = c
			is.Backends = slices.Clone(is.Backends)
			for i, b := range is.Backends {
				if c, ok := since(b.Counters, backendCounters(was, b.ID)); ok {
					is.Backends[i].Counters = c
				}
			}
		}
		out.Services[name] = is
	}
	return out
}

func since(is, was lb.Counters) (lb.Counters, bool) {
	ok := true
	for _, c := range []struct {
		is  *uint64
		was uint64
	}{
		{&is.Connections, was.Connections},
		{&is.PacketsIn, was.PacketsIn},
		{&is.BytesIn, was.BytesIn},
		{&is.PacketsOut, was.PacketsOut},
		{&is.BytesOut, was.BytesOut},
	} {
		ok = ok && *c.is >= c.was
		*c.is -= c.was
	}
	return is, ok
}

// Count fills in what the services in table, made by FromServices from these,
// have counted. Between two samples, unless before is empty, lie the rates.
func Count(table []Service, services []lb.Service, before, now Sample) {
	byKey := map[Key]lb.Service{}
	for _, v := range services {
		if v.Plane == lb.L4 {
			byKey[KeyOf(v)] = v
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
