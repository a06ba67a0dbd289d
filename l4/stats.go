package l4

import (
	"fmt"
	"io"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// Stats returns what the plane has counted since its maps were made, restarts
// of the daemon included. A service's counters hold what its removed backends
// had counted, too.
func (p *Plane) Stats() (lb.Stats, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hops == nil {
		return lb.Stats{}, fmt.Errorf("read counters: l4 plane: %w", os.ErrClosed)
	}
	out := lb.Stats{Revision: p.state.revision}
	for _, v := range p.state.services {
		s, err := p.serviceStats(v)
		if err != nil {
			return lb.Stats{}, fmt.Errorf("read counters of service %q: %w", v.name, err)
		}
		out.Services = append(out.Services, s)
		out.Flows += s.Counters.Active + s.Counters.Inactive
	}
	out.FlowTables = p.flowTables()
	var err error
	if out.Verdicts, err = p.verdicts(); err != nil {
		return lb.Stats{}, err
	}
	for _, program := range []*ebpf.Program{p.objects.Balance, p.objects.BalanceTcx} {
		run, err := program.Stats()
		if err != nil {
			return lb.Stats{}, fmt.Errorf("read run time: %w", err)
		}
		out.Run.Total += run.Runtime
		out.Run.Runs += run.RunCount
	}
	return out, nil
}

func (p *Plane) serviceStats(v *service) (lb.ServiceStats, error) {
	var removed xdpRetirement
	if err := p.objects.Retired.Lookup(v.value.Index, &removed); err != nil {
		return lb.ServiceStats{}, err
	}
	s := lb.ServiceStats{Name: v.name, Backends: []lb.BackendStats{}}
	sum := removed.Total
	for _, m := range v.members {
		c, err := p.counters(m.slot)
		if err != nil {
			return lb.ServiceStats{}, err
		}
		add(&sum, c)
		load, err := p.load(m.slot)
		if err != nil {
			return lb.ServiceStats{}, err
		}
		counters := toCounters(c)
		counters.Active, counters.Inactive = load.levels()
		counters.Sticky = load.Templates
		s.Counters.Active += counters.Active
		s.Counters.Inactive += counters.Inactive
		s.Counters.Sticky += counters.Sticky
		s.Backends = append(s.Backends, lb.BackendStats{ID: m.id, Name: m.name, Counters: counters})
	}
	for _, m := range p.state.retiring {
		if m.backend.Service != v.value.Index || removed.Slot == m.slot && removed.Backend == m.backend.Given {
			continue // see keepCounters
		}
		c, err := p.counters(m.slot)
		if err != nil {
			return lb.ServiceStats{}, err
		}
		add(&sum, c)
	}
	total := toCounters(sum)
	total.Active, total.Inactive, total.Sticky = s.Counters.Active, s.Counters.Inactive, s.Counters.Sticky
	s.Counters = total
	return s, nil
}

// counters sums a slot's counters over all CPUs.
func (p *Plane) counters(slot uint32) (xdpCounters, error) {
	var perCPU []xdpCounters
	if err := p.objects.Traffic.Lookup(slot, &perCPU); err != nil {
		return xdpCounters{}, fmt.Errorf("read counters of slot %d: %w", slot, err)
	}
	var sum xdpCounters
	for _, c := range perCPU {
		add(&sum, c)
	}
	return sum, nil
}

func add(to *xdpCounters, c xdpCounters) {
	to.Connections += c.Connections
	to.Packets += c.Packets
	to.Bytes += c.Bytes
	to.PacketsOut += c.PacketsOut
	to.BytesOut += c.BytesOut
}

func toCounters(c xdpCounters) lb.Counters {
	return lb.Counters{
		Connections: c.Connections,
		PacketsIn:   c.Packets, BytesIn: c.Bytes,
		PacketsOut: c.PacketsOut, BytesOut: c.BytesOut,
	}
}

// load is what a slot's backend has.
func (p *Plane) load(slot uint32) (xdpLoad, error) {
	var load xdpLoad
	if err := p.objects.Loads.Lookup(slot, &load); err != nil {
		return load, fmt.Errorf("read load of slot %d: %w", slot, err)
	}
	return load, nil
}

// levels are the active and the inactive flows. A packet may be in between two
// halves of a change, which shows as one less than none.
func (l xdpLoad) levels() (active, inactive uint64) {
	low := int32(uint32(l.Flows))
	high := int32((l.Flows - uint64(int64(low))) >> 32)
	return uint64(max(high, 0)), uint64(max(low, 0))
}

// EnableRunTime makes the kernel account for the time that BPF programs take,
// all of them, until the Closer is closed: two readings of a clock each time.
func EnableRunTime() (io.Closer, error) {
	c, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		return nil, fmt.Errorf("enable run-time statistics: %w", err)
	}
	return c, nil
}
