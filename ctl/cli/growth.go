package cli

import (
	"fmt"
	"time"

	"lbctl/ctl"
	"lbctl/internal/lb"
)

// growth is what a plane has counted, and by how much that grows in a second.
type growth struct {
	Plane      lb.Plane        `json:"plane"`
	Error      string          `json:"error,omitempty"` // why there is no more to tell
	Revision   uint64          `json:"revision"`
	Services   []serviceGrowth `json:"services"`
	FlowTables []lb.FlowTable  `json:"flow_tables,omitempty"`
	Verdicts   []verdictGrowth `json:"verdicts,omitempty"`
	Run        *runGrowth      `json:"run,omitempty"` // L4 only
}

type serviceGrowth struct {
	Name     string          `json:"name"`
	Counters lb.Counters     `json:"counters"`
	Rates    rates           `json:"rates"`
	HTTP     *httpGrowth     `json:"http,omitempty"` // L7 only
	Backends []backendGrowth `json:"backends"`
}

type backendGrowth struct {
	Name     string      `json:"name"`
	Counters lb.Counters `json:"counters"`
	Rates    rates       `json:"rates"`
	HTTP     *httpGrowth `json:"http,omitempty"` // L7 only
}

type verdictGrowth struct {
	lb.Verdict
	Rate float64 `json:"rate"`
}

// runGrowth is the kernel's account of the L4 programs between two looks.
type runGrowth struct {
	Measured  bool    `json:"measured"` // false: its statistics are off, or no packet came
	PerPacket float64 `json:"ns_per_packet,omitempty"`
	Runs      uint64  `json:"runs"`
	Packets   uint64  `json:"packets"` // that met a verdict meanwhile
}

// rates are of a second.
type rates struct {
	Connections float64 `json:"connections"`
	Requests    float64 `json:"requests"`
	PacketsIn   float64 `json:"packets_in"`
	BytesIn     float64 `json:"bytes_in"`
	PacketsOut  float64 `json:"packets_out"`
	BytesOut    float64 `json:"bytes_out"`
	Errors      float64 `json:"errors"`
	Retries     float64 `json:"retries"`
}

func ratesOf(was, is lb.Counters, took time.Duration) rates {
	per := func(was, is uint64) float64 { return rateOf(was, is, took) }
	return rates{
		Connections: per(was.Connections, is.Connections), Requests: per(was.Requests, is.Requests),
		PacketsIn: per(was.PacketsIn, is.PacketsIn), BytesIn: per(was.BytesIn, is.BytesIn),
		PacketsOut: per(was.PacketsOut, is.PacketsOut), BytesOut: per(was.BytesOut, is.BytesOut),
		Errors: per(was.Errors, is.Errors), Retries: per(was.Retries, is.Retries),
	}
}

// rateOf is 0 for a counter that begins anew, since its plane was loaded anew.
func rateOf(was, is uint64, took time.Duration) float64 {
	if is < was || took <= 0 {
		return 0
	}
	return float64(is-was) / took.Seconds()
}

// growthOf compares two looks at the planes' counters.
func growthOf(before, now ctl.Stats) []growth {
	took := now.At.Sub(before.At)
	planes := []growth{}
	for _, p := range now.Planes {
		was, _ := before.Plane(p.Plane)
		g := growth{Plane: p.Plane, Error: p.Error, Revision: p.Revision, Services: []serviceGrowth{}, FlowTables: p.FlowTables}
		for _, svc := range p.Services {
			old, _ := before.Service(svc.Name)
			g.Services = append(g.Services, serviceGrowthOf(old, svc, took))
		}
		for i, v := range p.Verdicts {
			rate := 0.0
			if i < len(was.Verdicts) {
				rate = rateOf(was.Verdicts[i].Packets, v.Packets, took)
			}
			g.Verdicts = append(g.Verdicts, verdictGrowth{v, rate})
		}
		if p.Plane == lb.L4 && p.Error == "" {
			g.Run = runGrowthOf(was.Stats, p.Stats)
		}
		planes = append(planes, g)
	}
	return planes
}

func serviceGrowthOf(was, is lb.ServiceStats, took time.Duration) serviceGrowth {
	g := serviceGrowth{Name: is.Name, Counters: is.Counters, Rates: ratesOf(was.Counters, is.Counters, took), HTTP: httpGrowthOf(was.HTTP, is.HTTP), Backends: []backendGrowth{}}
	for _, b := range is.Backends {
		old, _ := find(was.Backends, func(o lb.BackendStats) bool { return o.ID == b.ID })
		g.Backends = append(g.Backends, backendGrowth{b.Name, b.Counters, ratesOf(old.Counters, b.Counters, took), httpGrowthOf(old.HTTP, b.HTTP)})
	}
	return g
}

func runGrowthOf(was, is lb.Stats) *runGrowth {
	g := &runGrowth{Packets: packetsOf(is)}
	if before := packetsOf(was); before <= g.Packets {
		g.Packets -= before
	}
	if is.Run.Runs > was.Run.Runs && is.Run.Total >= was.Run.Total {
		g.Measured, g.Runs = true, is.Run.Runs-was.Run.Runs
		g.PerPacket = float64(is.Run.Total-was.Run.Total) / float64(g.Runs)
	}
	return g
}

func packetsOf(s lb.Stats) (sum uint64) {
	for _, v := range s.Verdicts {
		sum += v.Packets
	}
	return sum
}

// text is for people: the time that a packet takes, or why that is not known.
func (g *runGrowth) text() string {
	switch {
	case g.Measured:
		return fmt.Sprintf("%.0f ns per packet, by the kernel's account of %s", g.PerPacket, count(int(g.Runs), "run"))
	case g.Packets == 0:
		return "no packet came"
	}
	return "not measured, the kernel's BPF statistics are off: --run-time, or sysctl kernel.bpf_stats_enabled=1"
}

// flowTableText is "IPv4 12 of 1048576 (0.0 %)".
func flowTableText(t lb.FlowTable) string {
	return fmt.Sprintf("%s %d of %d (%.1f %%)", t.Family, t.Entries, t.Size, 100*float64(t.Entries)/float64(max(t.Size, 1)))
}
