package ctl

import "lbctl/internal/lb"

var (
	l4Connections = counter("l4_connections_total", "Flows that went to the backend.", "service", "backend")
	l4Packets     = counter("l4_packets_total", "Packets forwarded; in is towards the backend, out is seen where replies pass the balancer.", "service", "backend", "direction")
	l4Bytes       = counter("l4_bytes_total", "Bytes forwarded, IP headers included.", "service", "backend", "direction")
	l4Active      = gauge("l4_active_flows", "TCP flows that were not seen to close.", "service", "backend")
	l4Inactive    = gauge("l4_inactive_flows", "Other flows that are remembered.", "service", "backend")
	l4Sticky      = gauge("l4_sticky_clients", "Clients that stick to the backend.", "service", "backend")
	l4Verdicts    = counter("l4_verdict_packets_total", "Packets by what became of them.", "verdict")
	l4Entries     = gauge("l4_flow_table_entries", "Entries of the flow table; nat takes two for a flow.", "family")
	l4Size        = gauge("l4_flow_table_size", "Entries that the flow table has room for.", "family")
	l4Expired     = counter("l4_flow_table_expired_total", "Entries that were idle for too long.", "family")
	l4Run         = counter("l4_run_seconds_total", "Time that the programs took, while the kernel's BPF statistics were on.")
	l4Runs        = counter("l4_runs_total", "Runs of the programs, likewise.")
)

func (s sink) l4(stats lb.Stats) {
	for _, svc := range stats.Services {
		for _, b := range svc.Backends {
			n := b.Counters
			s.count(l4Connections, n.Connections, svc.Name, b.Name)
			s.count(l4Packets, n.PacketsIn, svc.Name, b.Name, "in")
			s.count(l4Packets, n.PacketsOut, svc.Name, b.Name, "out")
			s.count(l4Bytes, n.BytesIn, svc.Name, b.Name, "in")
			s.count(l4Bytes, n.BytesOut, svc.Name, b.Name, "out")
			s.count(l4Active, n.Active, svc.Name, b.Name)
			s.count(l4Inactive, n.Inactive, svc.Name, b.Name)
			s.count(l4Sticky, n.Sticky, svc.Name, b.Name)
		}
	}
	for _, v := range stats.Verdicts {
		s.count(l4Verdicts, v.Packets, v.Name)
	}
	for _, t := range stats.FlowTables {
		s.count(l4Entries, t.Entries, t.Family)
		s.count(l4Size, t.Size, t.Family)
		s.count(l4Expired, t.Expired, t.Family)
	}
	s.put(l4Run, stats.Run.Total.Seconds())
	s.count(l4Runs, stats.Run.Runs)
}
