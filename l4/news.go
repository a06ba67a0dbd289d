package l4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// Tell says of which flows News are: those that come into one of these states.
// Before it is called, and without states, there are none.
func (p *Plane) Tell(states ...lb.FlowState) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hops == nil {
		return fmt.Errorf("tell of flows: l4 plane: %w", os.ErrClosed)
	}
	var s xdpSetting
	if err := p.objects.Settings.Lookup(uint32(0), &s); err != nil {
		return fmt.Errorf("tell of flows: %w", err)
	}
	s.Told = 0
	for _, state := range states {
		s.Told |= 1 << stateNumbers[state]
	}
	if err := p.objects.Settings.Put(uint32(0), s); err != nil {
		return fmt.Errorf("tell of flows: %w", err)
	}
	return nil
}

// News visits the flows that have changed since it was called last, as they are
// or were right after; of one that has changed twice, both may be told. Lost is
// how many changes found no room since the plane was loaded: Walk makes them
// good. It must not be called twice at a time.
func (p *Plane) News(visit func(lb.ToldFlow)) (lost uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hops == nil {
		return 0, fmt.Errorf("read news: l4 plane: %w", os.ErrClosed)
	}
	if p.ring == nil {
		if p.ring, err = ringbuf.NewReader(p.objects.NewsRing); err != nil {
			return 0, fmt.Errorf("read news: %w", err)
		}
	}
	var teller *teller // while there is nothing to tell, nothing is looked up
	var record ringbuf.Record
	for {
		p.ring.SetDeadline(time.Now()) // what is there, and no more
		err := p.ring.ReadInto(&record)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err == nil && teller == nil {
			teller, err = p.teller()
		}
		if err != nil {
			return 0, fmt.Errorf("read news: %w", err)
		}
		var news xdpNews
		if _, err := binary.Decode(record.RawSample, binary.NativeEndian, &news); err != nil {
			return 0, fmt.Errorf("read news: %w", err)
		}
		if f, ok := teller.flow(news.Tuple, xdpFlow{
			Owner: news.Owner, LastSeen: teller.now, Peer: news.Peer, Pport: news.Pport,
			Delta: news.Delta, Joint: xdpJointJOINED, Shift: int8(news.Shift),
		}); ok {
			visit(f)
		}
	}
	if err := p.objects.NewsLost.Lookup(uint32(0), &lost); err != nil {
		return 0, fmt.Errorf("read news: %w", err)
	}
	return lost, nil
}

// Walk visits all flows that have had a packet within that time and are in a
// state that is told of.
func (p *Plane) Walk(within time.Duration, visit func(lb.ToldFlow)) error {
	p.mu.Lock()
	if p.hops == nil {
		p.mu.Unlock()
		return fmt.Errorf("walk flows: l4 plane: %w", os.ErrClosed)
	}
	teller, err := p.teller()
	var tables *flowTables
	if err == nil {
		tables, err = p.objects.flowTables()
	}
	p.mu.Unlock()
	if err != nil {
		return err
	}
	defer tables.close()
	ticks, err := jiffies(min(within, maxTimeout))
	if err != nil {
		return err
	}
	err = tables.each(func(e flowEntry) bool {
		f := e.flow
		if f.kind() != xdpFlowKindREQUESTS || teller.told>>f.state()&1 == 0 || int32(teller.now-f.LastSeen) > int32(ticks) {
			return true
		}
		if flow, ok := teller.flow(e.tuple, f); ok && flow.Left > 0 {
			visit(flow)
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("walk flows: %w", err)
	}
	return nil
}

// teller knows what the numbers in an entry stand for.
type teller struct {
	*names
	timeouts [xdpFlowStateFLOW_STATES]uint32
	told     uint32
	now      uint32
	tick     time.Duration
}

// names are what slots are to others, and the way back: owner words without state.
type names struct {
	slots  map[spoken]slotName
	ids    map[uint32]uint32 // by slot
	owners map[slotName]uint64
}

// spoken is a slot in flows of one protocol.
type spoken struct {
	slot  uint32
	proto lb.Protocol
}

// slotName is what a slot is to others.
type slotName struct {
	service lb.VIP
	backend netip.AddrPort
	forward lb.Forward
}

// teller is made of what stands in the maps now. mu is held.
func (p *Plane) teller() (*teller, error) {
	if p.names == nil {
		p.names = p.state.names()
	}
	t := &teller{names: p.names}
	var s xdpSetting
	if err := p.objects.Settings.Lookup(uint32(0), &s); err != nil {
		return nil, fmt.Errorf("read timeouts: %w", err)
	}
	t.timeouts, t.told = s.Timeouts, s.Told
	var err error
	if t.tick, err = jiffy(); err != nil {
		return nil, err
	}
	if err := runWith(p.objects.Now, &t.now); err != nil {
		return nil, fmt.Errorf("read jiffies: %w", err)
	}
	return t, nil
}

func (s *state) names() *names {
	n := &names{slots: map[spoken]slotName{}, ids: map[uint32]uint32{}, owners: map[slotName]uint64{}}
	for _, v := range s.services {
		for _, proto := range []lb.Protocol{lb.TCP, lb.UDP} {
			service := s.keys.called(v, proto)
			for _, m := range v.members {
				if m.backend.Id == 0 {
					continue
				}
				name := slotName{
					service: service, forward: forwardWord(m.backend.Forward),
					backend: netip.AddrPortFrom(fromAddress(m.backend.Addr), toPort(m.backend.Port)),
				}
				n.slots[spoken{m.slot, proto}], n.ids[m.slot] = name, m.backend.Id
				n.owners[name] = uint64(m.backend.Id)<<32 | uint64(m.slot)<<16
			}
		}
	}
	return n
}

// flow says in words what an entry of REQUESTS is. It is false if the backend is gone.
func (t *teller) flow(tuple xdpTuple6, f xdpFlow) (lb.ToldFlow, bool) {
	proto, state := lb.TCP, f.state()
	if tuple.Proto == unix.IPPROTO_UDP {
		proto = lb.UDP
	}
	slot, known := t.slots[spoken{f.slot(), proto}]
	if !known || t.ids[f.slot()] != f.id() || state >= xdpFlowStateFLOW_STATES {
		return lb.ToldFlow{}, false
	}
	flow := lb.ToldFlow{
		Proto:   proto,
		Client:  netip.AddrPortFrom(fromAddress(tuple.Src), toPort(tuple.Sport)),
		VIP:     netip.AddrPortFrom(fromAddress(tuple.Dst), toPort(tuple.Dport)),
		Service: slot.service, Backend: slot.backend, Forward: slot.forward,
		State: lb.FlowState(stateWords[state]),
		Left:  time.Duration(int32(t.timeouts[state]-(t.now-f.LastSeen))) * t.tick,
	}
	if flow.Backend.Port() == 0 { // the one that the client asked for
		flow.Backend = netip.AddrPortFrom(flow.Backend.Addr(), flow.VIP.Port())
	}
	if f.Delta != 0 && f.Joint == xdpJointJOINED { // before, it is no more than a client's that may ask again
		flow.Delta, flow.Shift = f.Delta, f.Shift
	}
	if f.Pport != 0 {
		flow.Peer = netip.AddrPortFrom(fromAddress(f.Peer), toPort(f.Pport))
	}
	return flow, true
}

func forwardWord(f xdpForward) lb.Forward {
	for word, number := range forwards {
		if number == f {
			return word
		}
	}
	return ""
}

var stateNumbers = func() map[lb.FlowState]xdpFlowState {
	numbers := map[lb.FlowState]xdpFlowState{}
	for number, word := range stateWords {
		numbers[lb.FlowState(word)] = xdpFlowState(number)
	}
	return numbers
}()
