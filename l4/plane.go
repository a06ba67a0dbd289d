// Package l4 is the plane that forwards packets: a program in front of the
// network stack, at XDP or at tcx (C in ../bpf), and what fills its maps from
// Snapshots.
//
// The program, its maps and its links are pinned. They forward on while no
// daemon runs, and Open takes them over, with flows and counters as they are.
package l4

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// Options say where a Plane forwards.
type Options struct {
	NetNS      *netns.Handle // the balancer's; must stay open as long as the Plane
	Interfaces []string      // that packets come in by and go out by: "eth0" …
	Hook       lb.Hook       // where on those interfaces; empty: lb.HookAuto
	Peers      []Peer        // the other ends of those interfaces that are veths
	PinDir     string        // a folder on a BPF file system, made if absent; nobody else's while the Plane is opened or open
	Log        *slog.Logger  // nil: slog.Default()
	MaxFlows   int           // remembered at a time of each family, 0: 1<<20; pinned flow tables keep their size
	Timeouts   Timeouts      // zero ones are as they are, at first IPVS's

	// TunnelSources holds at most one prefix of each family. Under IPIP a flow's
	// outer source is one of its addresses, so that receivers can spread flows
	// over queues. They must be routed to the balancer, or routers with a reverse
	// path filter drop what bears them. Without: the balancer's own address.
	TunnelSources []netip.Prefix

	// LocalAddresses holds at most one prefix of each family: under fullnat what
	// stands for clients, with ports from 1024 on. They must be the balancer's, so that
	// it answers for them, and nothing else's. Without: the balancer's own address
	// towards the backend, with the ports above net.ipv4.ip_local_port_range.
	LocalAddresses []netip.Prefix

	// SweepInterval is how often idle flows are looked for; 0: about once a second,
	// less often where that would take more than 5 % of a CPU; negative: only by Sweep.
	SweepInterval time.Duration
}

// DefaultMaxFlows is how many flows are remembered unless Options say otherwise.
// Each takes about 80 bytes (IPv4) or 145 (IPv6), from the start.
const DefaultMaxFlows = 1 << 20

// Plane is the L4 data plane of one balancer. Its methods may be called from
// any goroutine.
type Plane struct {
	options  Options
	log      *slog.Logger
	objects  objects
	links    []link.Link
	hooks    []lb.HookChoice // by interface, as Options name them; fixed once open
	hops     *resolver
	applying sync.Mutex // held by Apply alone, over waiting for neighbours
	watch    watch
	sweeper  sweeper
	ring     *ringbuf.Reader // of news; nil until they are read
	ownPorts ports           // of the balancer's own addresses, for fullnat; fixed once open

	mu    sync.Mutex // guards state, names and all writing to maps
	state *state
	names *names // of what stands in the slots; nil: not looked up since the last Apply
}

// Open loads the programs and pins them, or adopts what is pinned in PinDir, and
// attaches them to the interfaces. An adopted plane goes on where it was; if its
// programs differ from this binary's, they are replaced in place, and if the hook
// is to be another, the new one takes over before the old one goes: neither loses
// a packet. The error is ErrIncompatible if pinned maps have
// another layout than this binary's.
func Open(o Options) (*Plane, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Hook == "" {
		o.Hook = lb.HookAuto
	}
	if o.MaxFlows == 0 {
		o.MaxFlows = DefaultMaxFlows
	}
	if o.MaxFlows < 1 || o.MaxFlows > maxFlows {
		return nil, fmt.Errorf("open l4 plane: room for %d flows: want 1 to %d", o.MaxFlows, maxFlows)
	}
	if err := validatePools(o.LocalAddresses); err != nil {
		return nil, fmt.Errorf("open l4 plane: %w", err)
	}
	if err := os.MkdirAll(o.PinDir, 0o700); err != nil {
		return nil, fmt.Errorf("make pin folder: %w", err)
	}
	p := &Plane{options: o, log: o.Log}
	if err := p.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open l4 plane: %w", err), p.Close())
	}
	p.watch.start(watchInterval, p.refresh)
	p.startSweeper()
	return p, nil
}

func (p *Plane) open() error {
	var err error
	if err = p.objects.load(p.options); err != nil {
		return err
	}
	if err := p.SetTimeouts(p.options.Timeouts); err != nil {
		return err
	}
	if err := p.readOwnPorts(); err != nil {
		return err
	}
	if p.hops, err = newResolver(p.options.NetNS); err != nil {
		return err
	}
	if p.state, err = readState(&p.objects.xdpMaps); err != nil {
		return err
	}
	ports, err := p.ports()
	if err != nil {
		return err
	}
	if err := p.writePorts(ports); err != nil {
		return err
	}
	if err := p.attach(ports); err != nil {
		return err
	}
	return p.objects.unpinIdle()
}

// Close lets go of all handles. Forwarding goes on as long as the pins and the
// interfaces exist. Other methods return os.ErrClosed from then on.
func (p *Plane) Close() error {
	p.watch.stop()
	p.sweeper.watch.stop()
	p.applying.Lock()
	defer p.applying.Unlock()
	p.sweeper.running.Lock()
	defer p.sweeper.running.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	p.links = nil
	if p.ring != nil {
		errs = append(errs, p.ring.Close())
		p.ring = nil
	}
	if p.hops != nil {
		p.hops.close()
		p.hops = nil
	}
	return errors.Join(append(errs, p.objects.close())...)
}

// program is the one for a hook, which attach has provided.
func (p *Plane) program(hook lb.Hook) *ebpf.Program {
	if hook == lb.HookTCX {
		return p.objects.BalanceTcx
	}
	return p.objects.Balance
}

// Hooks returns where the plane meets the packets of each interface, and why there.
func (p *Plane) Hooks() []lb.HookChoice { return p.hooks }
