package l4

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"lbctl/internal/lb"
)

// Adopted says what became of flows that Adopt was given.
type Adopted struct {
	Taken   int // or known already, by a later packet
	Unknown int // their service or backend is not here
	Refused int // there is no room
}

// Adopt makes flows of a balancer beside this one this one's, before their
// packets come. Backends are found by address, in the service that the flow
// names. Of two that tell of the same flow the one with the later packet is believed.
func (p *Plane) Adopt(flows []lb.ToldFlow) (Adopted, error) {
	var out Adopted
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hops == nil {
		return out, fmt.Errorf("adopt flows: l4 plane: %w", os.ErrClosed)
	}
	teller, err := p.teller()
	if err != nil {
		return out, fmt.Errorf("adopt flows: %w", err)
	}
	ports, err := p.ports()
	if err != nil {
		return out, fmt.Errorf("adopt flows: %w", err)
	}
	ways := newWaysBack(p.hops, ports)
	for _, f := range flows {
		name := slotName{f.Service, f.Backend, f.Forward}
		owner, known := teller.owners[name]
		if !known && f.Backend.Port() == f.VIP.Port() {
			name.backend = netip.AddrPortFrom(f.Backend.Addr(), 0)
			owner, known = teller.owners[name]
		}
		if !known {
			out.Unknown++
			continue
		}
		a := teller.adoption(f, owner)
		if isReplying(forwards[f.Forward]) {
			h := ways.to(f.Client.Addr())
			a.Ifindex, a.Mac = h.ifindex, h.mac
		}
		if err := runWith(p.objects.Adopt, &a); err != nil {
			return out, fmt.Errorf("adopt flow of %s: %w", f.Client, err)
		}
		if a.Adopted == 0 {
			out.Refused++
		} else {
			out.Taken++
		}
	}
	return out, ways.ask()
}

func (t *teller) adoption(f lb.ToldFlow, owner uint64) xdpAdoption {
	state := stateNumbers[f.State]
	idle := max(time.Duration(t.timeouts[state])*t.tick-f.Left, 0)
	v := toKey(lb.VIP{Addr: f.VIP, Proto: f.Proto}.Match())
	a := xdpAdoption{
		Tuple: xdpTuple6{
			Src: toAddress(f.Client.Addr()), Dst: v.Addr,
			Sport: toPort(f.Client.Port()), Dport: v.Port, Proto: v.Proto,
		},
		Owner: owner | uint64(state)<<8 | uint64(xdpFlowKindREQUESTS),
		Delta: f.Delta, Shift: int32(f.Shift),
		Idle: uint32(idle / t.tick),
	}
	if f.Peer.IsValid() {
		a.Peer, a.Pport = toAddress(f.Peer.Addr()), toPort(f.Peer.Port())
	}
	return a
}

// waysBack finds where replies to clients go, which on this balancer no packet
// has shown yet. A client whose way nobody knows is asked for, and has one when
// its flow is told of again.
type waysBack struct {
	hops    *resolver
	ports   []port
	known   map[neighbour][6]byte // nil: not read yet
	found   map[netip.Addr]hop
	missing []neighbour
}

func newWaysBack(hops *resolver, ports []port) *waysBack {
	return &waysBack{hops: hops, ports: ports, found: map[netip.Addr]hop{}}
}

func (w *waysBack) to(client netip.Addr) hop {
	if h, done := w.found[client]; done {
		return h
	}
	w.found[client] = hop{}
	n, err := w.hops.route(client, w.ports)
	if err != nil {
		return hop{}
	}
	if w.known == nil {
		if w.known, err = w.hops.neighbours(); err != nil {
			w.known = map[neighbour][6]byte{}
		}
	}
	mac, ok := w.known[n.neighbour]
	if !ok {
		w.missing = append(w.missing, n.neighbour)
		return hop{}
	}
	w.found[client] = hop{ifindex: uint32(n.ifindex), mac: mac}
	return w.found[client]
}

func (w *waysBack) ask() error {
	if len(w.missing) == 0 {
		return nil
	}
	return w.hops.provoke(w.missing)
}
