package ctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lbctl/internal/flowsync"
	"lbctl/internal/netns"
	"lbctl/internal/takeover"
)

const (
	watchConnected = 200 * time.Millisecond // how long a lost connection may go unnoticed
	watchAddresses = time.Second            // how long a lost address may
	announcements  = 3                      // that follow the first, one for each watchAddresses
)

// pair is the two balancers of a lab. One is active: it has the floating
// addresses. Both forward by the same snapshots.
type pair struct {
	config StandbyConfig
	file   string
	hub    *netns.Handle
	nodes  []*half // the active one when the lab came up first, then its standby
	log    *slog.Logger
	event  func(Event)
	done   chan struct{} // closed by Close
	ended  sync.WaitGroup

	mu     sync.Mutex // guards hosts and what follows: one change at a time
	record pairRecord
	repeat int          // announcements still to make
	active atomic.Int32 // index into nodes
	moved  broadcast    // another is active
	herald *herald      // nil: the standby does not decide for itself
}

// half is one balancer of a pair.
type half struct {
	name      string
	ns        *netns.Handle
	host      *takeover.Host
	addr      netip.Addr
	ports     []string // in the hub
	connected atomic.Bool
	link      atomic.Pointer[flowsync.Link] // nil: it neither tells nor is told of flows
}

// newPair makes the lab's addresses be where the record says: on the balancer
// that was active last.
func newPair(c DaemonConfig, spaces []*netns.Handle, hub *netns.Handle, log *slog.Logger) (*pair, error) {
	p := &pair{config: *c.Standby, file: c.pairFile(), hub: hub, log: log, event: func(Event) {}, done: make(chan struct{})}
	for i, b := range c.balancers() {
		host, err := takeover.Open(spaces[i])
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.nodes = append(p.nodes, &half{name: b.Node, ns: spaces[i], addr: c.Standby.Addrs[i], host: host, ports: b.Ports})
	}
	record, err := loadPair(p.file)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.record = record
	p.active.Store(int32(max(0, p.index(record.Active))))
	p.look()
	if p.config.Advert > 0 {
		if p.herald, err = newHerald(p, p.config.Advert); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.settle(); err != nil {
		p.log.Error("put floating addresses where they belong", "error", err) // watch tries again
	}
	return p, nil
}

// watch keeps addresses where they belong until Close.
func (p *pair) watch(event func(Event)) {
	p.event = event
	if p.herald != nil {
		p.herald.begin()
		p.ended.Go(p.herald.run)
	}
	p.ended.Go(func() {
		look, settle := time.NewTicker(watchConnected), time.NewTicker(watchAddresses)
		defer look.Stop()
		defer settle.Stop()
		for {
			select {
			case <-p.done:
				return
			case <-look.C:
				p.look()
			case <-settle.C:
				p.mu.Lock()
				if err := p.settle(); err != nil {
					p.log.Warn("keep floating addresses", "error", err)
				}
				p.mu.Unlock()
			}
		}
	})
}

// Close ends watching. Addresses stay where they are.
func (p *pair) Close() error {
	close(p.done)
	p.ended.Wait()
	if p.herald != nil {
		p.herald.close()
	}
	for _, n := range p.nodes {
		n.host.Close()
	}
	return nil
}

// index returns -1 if there is no such balancer.
func (p *pair) index(name string) int {
	return slices.IndexFunc(p.nodes, func(n *half) bool { return n.name == name })
}

func (p *pair) current() *half { return p.nodes[p.active.Load()] }

// other is the balancer that n takes over from, or that takes over from it.
func (p *pair) other(n *half) *half {
	if n == p.nodes[0] {
		return p.nodes[1]
	}
	return p.nodes[0]
}

// look notes which balancers are connected.
func (p *pair) look() {
	for _, n := range p.nodes {
		connected, err := takeover.Connected(p.hub, n.ports)
		if err != nil {
			p.log.Warn("look whether a balancer is connected", "node", n.name, "error", err)
		}
		if n.connected.Swap(connected) != connected {
			p.noteConnected(n, connected)
			p.resync()
		}
	}
}

func (p *pair) noteConnected(n *half, connected bool) {
	text := "cut off"
	if connected {
		text = "connected"
	}
	p.event(Event{Kind: EventBalancer, Node: n.name, Message: fmt.Sprintf("balancer %s is %s", n.name, text)})
}

// settle puts the floating addresses on the active balancer and takes them, and
// what floated before, off the other. mu is held.
func (p *pair) settle() error {
	active, old := p.current(), slices.Clone(p.record.Held)
	if p.record.Active != active.name || !slices.Equal(p.record.Held, p.config.Floating) {
		next := pairRecord{Active: active.name, Since: p.record.Since, Held: union(old, p.config.Floating)}
		if next.Active != p.record.Active || next.Since.IsZero() {
			next.Since = time.Now()
		}
		if err := p.save(next); err != nil {
			return err
		}
	}
	gone := slices.DeleteFunc(old, func(a takeover.Addr) bool { return slices.Contains(p.config.Floating, a) })
	err := errors.Join(p.other(active).host.Drop(p.record.Held), active.host.Drop(gone))
	added, takeErr := active.host.Take(p.config.Floating)
	announce := added
	if p.repeat > 0 {
		p.repeat--
		announce = p.config.Floating
	}
	err = errors.Join(err, takeErr, active.host.Announce(announce))
	if err == nil && !slices.Equal(p.record.Held, p.config.Floating) {
		next := p.record
		next.Held = p.config.Floating
		err = p.save(next)
	}
	return err
}

func union(a, b []takeover.Addr) []takeover.Addr {
	all := slices.Clone(a)
	for _, addr := range b {
		if !slices.Contains(all, addr) {
			all = append(all, addr)
		}
	}
	return all
}

// save writes the record before what it says is done.
func (p *pair) save(next pairRecord) error {
	if err := next.save(p.file); err != nil {
		return err
	}
	p.record = next
	return nil
}

// DialContext probes from the active balancer, or from its standby while it is
// cut off: that a balancer has died says nothing about servers.
func (p *pair) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	from := p.current()
	if other := p.other(from); !from.connected.Load() && other.connected.Load() {
		from = other
	}
	return from.ns.DialContext(ctx, network, addr)
}

// Status returns both balancers, the active one first.
func (p *pair) status() []BalancerStatus {
	p.mu.Lock()
	since := p.record.Since
	active := p.current()
	p.mu.Unlock()
	var out []BalancerStatus
	for _, n := range []*half{active, p.other(active)} {
		role := Standby
		if n == active {
			role = Active
		}
		b := BalancerStatus{Node: n.name, Role: role, Since: since, Connected: n.connected.Load()}
		if link := n.link.Load(); link != nil {
			stats := link.Stats()
			b.Sync = &stats
		}
		out = append(out, b)
	}
	return out
}
