package l4

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"lbctl/internal/lb"
)

// insertMember puts a backend into a slot, or brings its slot up to date, save
// that it is not barred yet from what it has (see release).
func (p *Plane) insertMember(v *service, b lb.Backend, w *wanted) error {
	m := v.find(b.ID)
	if m == nil {
		var err error
		if m, err = p.takeSlot(v, b); err != nil {
			return err
		}
		v.members = append(v.members, m)
	}
	if m.name != b.Name {
		if err := p.objects.BackendNames.Put(m.slot, toName(b.Name)); err != nil {
			return fmt.Errorf("write name: %w", err)
		}
		m.name = b.Name
	}
	next := m.backend
	next.Id, next.Forward = uint32(b.ID), w.forward
	next.Addr, next.Port = toAddress(b.Addr.Addr()), toPort(b.Addr.Port())
	if h, known := w.hops[b.ID]; known {
		next.Ifindex, next.Mac = h.ifindex, h.mac
		p.wrap(&next, w, h)
		if b.Forwards() {
			next.Flags |= xdpBackendFlagFORWARDS
		}
	}
	return p.writeMember(m, next)
}

// takeSlot finds a slot without counters. The slot is the backend's from then
// on, but bears no ID, so a flow that remembers the slot cannot mistake it.
func (p *Plane) takeSlot(v *service, b lb.Backend) (*member, error) {
	slot, ok := p.state.slots.take()
	if !ok {
		return nil, fmt.Errorf("more than %d backends", len(p.state.slots.used))
	}
	m := &member{id: b.ID, slot: slot, name: b.Name}
	var sum xdpRetirement
	m.backend = xdpBackend{Given: uint32(b.ID), Service: v.value.Index}
	err := errors.Join(
		p.objects.Retired.Lookup(v.value.Index, &sum),
		p.objects.Retired.Put(v.value.Index, xdpRetirement{Total: sum.Total}), // see keepCounters
		p.objects.Traffic.Put(slot, make([]xdpCounters, ebpf.MustPossibleCPU())),
		p.objects.BackendNames.Put(slot, toName(b.Name)),
		p.objects.Backends.Put(slot, m.backend))
	if err != nil {
		p.state.slots.release(slot)
		return nil, fmt.Errorf("prepare slot %d: %w", slot, err)
	}
	return m, nil
}

func (p *Plane) writeMember(m *member, next xdpBackend) error {
	if m.backend == next {
		return nil
	}
	if err := p.objects.Backends.Put(m.slot, next); err != nil {
		return fmt.Errorf("write slot %d: %w", m.slot, err)
	}
	m.backend = next
	return nil
}

// partMembers tells those that stay, in the Snapshot's order, from those that leave.
func (p *Plane) partMembers(v *service, w *wanted) {
	stay := make([]*member, len(w.Backends))
	for i, b := range w.Backends {
		stay[i] = v.find(b.ID)
	}
	for _, m := range v.members {
		if !slices.Contains(stay, m) {
			p.state.leaving = append(p.state.leaving, m)
		}
	}
	v.members = stay
}

// release lets go of what is no longer referred to, once no packet is under way
// that read the reference.
func (p *Plane) release(want []*wanted) error {
	barred := p.barred(want)
	if len(barred)+len(p.state.leaving)+len(p.state.retiring)+len(p.state.oldTables)+len(p.state.oldIndices) == 0 {
		return nil
	}
	if err := p.awaitPackets(); err != nil {
		return err
	}
	for _, m := range barred {
		next := m.backend
		next.Flags &^= xdpBackendFlagFORWARDS
		if err := p.writeMember(m, next); err != nil {
			return err
		}
	}
	for len(p.state.leaving) > 0 {
		m := p.state.leaving[0]
		next := m.backend
		next.Id, next.Flags = 0, 0
		if err := p.writeMember(m, next); err != nil {
			return err
		}
		p.state.retiring = append(p.state.retiring, m)
		p.state.leaving = p.state.leaving[1:]
	}
	if err := p.deleteTables(); err != nil {
		return err
	}
	return p.retire()
}

// barred are the backends that may not keep what they have.
func (p *Plane) barred(want []*wanted) []*member {
	var out []*member
	for _, w := range want {
		v := p.state.find(w.key)
		for _, b := range w.Backends {
			m := v.find(b.ID)
			if !b.Forwards() && m.backend.Flags&xdpBackendFlagFORWARDS != 0 {
				out = append(out, m)
			}
		}
	}
	return out
}

// retire adds the counters of slots that no packet can count in any more to
// their services', and frees the slots.
func (p *Plane) retire() error {
	if len(p.state.retiring) == 0 {
		p.freeIndices()
		return nil
	}
	if err := p.awaitPackets(); err != nil {
		return err
	}
	for len(p.state.retiring) > 0 {
		m := p.state.retiring[0]
		if err := p.keepCounters(m); err != nil {
			return fmt.Errorf("keep counters of backend %q: %w", m.name, err)
		}
		if err := p.writeMember(m, xdpBackend{}); err != nil {
			return err
		}
		p.state.slots.release(m.slot)
		p.state.retiring = p.state.retiring[1:]
	}
	p.freeIndices()
	return nil
}

func (p *Plane) freeIndices() {
	for _, index := range p.state.oldIndices {
		p.state.indices.release(index)
	}
	p.state.oldIndices = nil
}

// keepCounters is done once, however often it is begun: the sum and the name of
// what has been added to it are one map element. That name is struck out before
// a slot is given away again, perhaps to the same backend.
func (p *Plane) keepCounters(m *member) error {
	var sum xdpRetirement
	if err := p.objects.Retired.Lookup(m.backend.Service, &sum); err != nil {
		return err
	}
	if sum.Slot == m.slot && sum.Backend == m.backend.Given {
		return nil
	}
	counters, err := p.counters(m.slot)
	if err != nil {
		return err
	}
	add(&sum.Total, counters)
	sum.Slot, sum.Backend = m.slot, m.backend.Given
	return p.objects.Retired.Put(m.backend.Service, sum)
}
