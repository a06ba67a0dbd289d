package l4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"lbctl/internal/lb"
)

// insertMember puts a backend into a slot, or brings its slot up to date, save
// that it is not barred yet from what it has or may get (see release).
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
	next.Flags &^= xdpBackendFlagHAS_SERVER_ID
	if w.L4.QUIC {
		next.Flags |= xdpBackendFlagHAS_SERVER_ID
	}
	next.Addr, next.Port = toAddress(b.Addr.Addr()), toPort(b.Addr.Port())
	next.Upper, next.Lower = b.Upper, b.Lower
	if w.isMember(b) {
		next.Weight = int32(b.Weight)
	}
	if b.Weight != 0 {
		next.PastWeight = b.Weight
	}
	if h, known := w.hops[b.ID]; known {
		next.Ifindex, next.Mac = h.ifindex, h.mac
		p.wrap(&next, w, h)
		if b.Forwards() {
			next.Flags |= xdpBackendFlagFORWARDS
		}
	}
	next.Flags &^= xdpBackendFlagSTICKS
	if w.sticks(b) {
		next.Flags |= xdpBackendFlagSTICKS
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

// ownFlags are those of a backend's flags that are not the program's to change.
const ownFlags = ^xdpBackendFlagOVERLOADED

// writeMember keeps the mark of an overloaded backend. What a packet makes of it
// between reading and writing is lost, so the program judges again afterwards.
func (p *Plane) writeMember(m *member, next xdpBackend) error {
	if m.backend == next {
		return nil
	}
	marked := next
	if next.Id != 0 {
		var was xdpBackend
		if err := p.objects.Backends.Lookup(m.slot, &was); err != nil {
			return fmt.Errorf("read slot %d: %w", m.slot, err)
		}
		marked.Flags |= was.Flags &^ ownFlags
	}
	if err := p.objects.Backends.Put(m.slot, marked); err != nil {
		return fmt.Errorf("write slot %d: %w", m.slot, err)
	}
	m.backend = next
	if marked.Upper == 0 && marked.Flags&^ownFlags == 0 {
		return nil
	}
	slot := binary.NativeEndian.AppendUint32(nil, m.slot)
	if _, err := p.objects.Reconsider.Run(&ebpf.RunOptions{Context: slot}); err != nil {
		return fmt.Errorf("judge the load of slot %d: %w", m.slot, err)
	}
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
	barred, lowered := p.barred(want)
	if len(barred)+len(lowered)+len(p.state.leaving)+len(p.state.oldTables) > 0 {
		if err := p.awaitPackets(); err != nil {
			return err
		}
	}
	for _, m := range lowered {
		next := m.backend
		next.Weight = 0
		if err := p.writeMember(m, next); err != nil {
			return err
		}
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

// barred are the backends that may not keep what they have, lowered those that
// take nothing new because no table names them any more.
func (p *Plane) barred(want []*wanted) (barred, lowered []*member) {
	for _, w := range want {
		v := p.state.find(w.Name)
		for _, b := range w.Backends {
			m := v.find(b.ID)
			if !b.Forwards() && m.backend.Flags&xdpBackendFlagFORWARDS != 0 {
				barred = append(barred, m)
			}
			if !w.isMember(b) && m.backend.Weight != 0 {
				lowered = append(lowered, m)
			}
		}
	}
	return barred, lowered
}

// retire adds the counters of slots that no packet can count in any more to
// their services', and frees the slots. One that flows still name as theirs has
// to wait until they have moved or expired, as IPVS keeps a removed server in its
// trash: otherwise the load of the next backend there would begin with theirs.
func (p *Plane) retire() error {
	if slices.ContainsFunc(p.state.retiring, func(m *member) bool { return !m.quiet }) {
		if err := p.awaitPackets(); err != nil {
			return err
		}
	}
	for i := 0; i < len(p.state.retiring); {
		m := p.state.retiring[i]
		m.quiet = true
		load, err := p.load(m.slot)
		if err != nil {
			return err
		}
		if load != (xdpLoad{}) {
			i++
			continue
		}
		if err := p.keepCounters(m); err != nil {
			return fmt.Errorf("keep counters of backend %q: %w", m.name, err)
		}
		if err := p.writeMember(m, xdpBackend{}); err != nil {
			return err
		}
		p.state.slots.release(m.slot)
		p.state.retiring = slices.Delete(p.state.retiring, i, i+1)
	}
	p.freeIndices()
	return nil
}

// freeIndices gives away those of gone services that have no backend left.
func (p *Plane) freeIndices() {
	p.state.oldIndices = slices.DeleteFunc(p.state.oldIndices, func(index uint32) bool {
		if slices.ContainsFunc(p.state.retiring, func(m *member) bool { return m.backend.Service == index }) {
			return false
		}
		p.state.indices.release(index)
		return true
	})
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
