package l4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"

	"lbctl/internal/lb"
)

// sweepInterval is how often idle flows are looked for, if that is cheap enough:
// a sweep is followed by a rest of at least sweepRest times its length.
const (
	sweepInterval = time.Second
	sweepRest     = 20
)

// sweeper runs the program's sweep again and again. See bpf/sweep.h.
type sweeper struct {
	watch   watch
	running sync.Mutex // a sweep is; guards took and until

	took  time.Duration
	until time.Time // rest

	mu      sync.Mutex // guards what follows
	last    xdpTallies
	expired [2]uint64 // since Open, by table
}

func (p *Plane) startSweeper() {
	interval := p.options.SweepInterval
	if interval < 0 {
		return
	}
	if interval == 0 {
		interval = sweepInterval
	}
	p.sweeper.watch.start(interval, func() {
		if p.options.SweepInterval == 0 && time.Now().Before(p.sweeper.until) {
			return
		}
		if err := p.Sweep(); err != nil && !errors.Is(err, os.ErrClosed) {
			p.log.Warn("sweep flow tables", "error", err)
		}
	})
}

// Sweep ends the flows that are idle and deletes those that an earlier sweep has
// ended. What that leaves without flows is freed.
func (p *Plane) Sweep() error {
	s := &p.sweeper
	s.running.Lock()
	defer s.running.Unlock()
	if p.hops == nil {
		return fmt.Errorf("sweep: l4 plane: %w", os.ErrClosed)
	}
	// No packet may be under way that has read a flow's owner before an earlier
	// sweep has ended the flow.
	if err := p.awaitPackets(); err != nil {
		return err
	}
	found, err := p.order()
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	begin := time.Now()
	if err := runWith(p.objects.Sweep, &found); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	end := time.Now()
	s.took = end.Sub(begin)
	s.until = end.Add(sweepRest * s.took)
	s.mu.Lock()
	s.last = found
	s.expired[0] += found.Flows.Expired
	s.expired[1] += found.Flows6.Expired
	s.mu.Unlock()

	p.mu.Lock()
	defer p.mu.Unlock()
	return p.retire()
}

// templateRearm is how long a template lives on that is over, but has flows
// (ip_vs_conn_expire in ip_vs_conn.c).
const templateRearm = 60 * time.Second

// order is what the program is told of a round.
func (p *Plane) order() (out xdpTallies, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.state.services {
		if v.persists {
			out.Sticks = 1
		}
	}
	out.Rearm, err = jiffies(templateRearm)
	return out, err
}

// flowTables is what the last sweep found.
func (p *Plane) flowTables() []lb.FlowTable {
	s := &p.sweeper
	s.mu.Lock()
	defer s.mu.Unlock()
	table := func(family string, m *ebpf.Map, found xdpTally, expired uint64) lb.FlowTable {
		return lb.FlowTable{
			Family: family, Size: uint64(m.MaxEntries() - 1), Expired: expired,
			Entries: found.Entries + found.Resting,
		}
	}
	return []lb.FlowTable{
		table("IPv4", p.objects.Flows, s.last.Flows, s.expired[0]),
		table("IPv6", p.objects.Flows6, s.last.Flows6, s.expired[1]),
	}
}

// runWith runs a program of type syscall, which changes what it is given.
func runWith(program *ebpf.Program, context any) error {
	in := make([]byte, binary.Size(context))
	out := make([]byte, len(in))
	if _, err := binary.Encode(in, binary.NativeEndian, context); err != nil {
		return err
	}
	if _, err := program.Run(&ebpf.RunOptions{Context: in, ContextOut: out}); err != nil {
		return err
	}
	_, err := binary.Decode(out, binary.NativeEndian, context)
	return err
}
