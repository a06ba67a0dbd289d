package l4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/cilium/ebpf"

	"lbctl/internal/balance"
	"lbctl/internal/lb"
)

// noTable is an index in the map of tables that no service's table has.
const noTable = 0

var tableSeed = maphash.MakeSeed()

// change is a table that is to take another's place.
type change struct {
	service *service
	kind    xdpKeyKind
	options xdpService
	slots   []uint32
	sum     uint64
	index   uint32
	table   *ebpf.Map
}

// switchTables gives each service whose table has changed a new one: first all
// tables are inserted, then each key is made to lead to its service as that is
// now, in one step. The old tables stay until no key leads to them.
func (p *Plane) switchTables(want []*wanted, services []*service, d *destinations) error {
	var changes []*change
	defer func() {
		for _, c := range changes {
			c.table.Close() // the map of maps holds it
		}
	}()
	for i, w := range want {
		c, err := p.newTable(w, services[i])
		if err != nil {
			return fmt.Errorf("make table of service %q: %w", w.Name, err)
		}
		if c != nil {
			changes = append(changes, c)
		}
	}
	if err := p.insertTables(changes); err != nil {
		return err
	}
	for _, c := range changes {
		p.point(c)
	}
	return p.writeKeys(d)
}

// newTable returns nil if the service has the right table already.
func (p *Plane) newTable(w *wanted, v *service) (*change, error) {
	ids, err := balance.Table(w.Policy, w.reachable(), balance.DefaultSize)
	if err != nil {
		return nil, err
	}
	slotOf := map[lb.BackendID]uint32{}
	for _, m := range v.members {
		slotOf[m.id] = m.slot
	}
	c := &change{service: v, kind: w.kind, options: w.value, slots: make([]uint32, len(ids))}
	for i, id := range ids {
		c.slots[i] = slotOf[id]
	}
	c.sum = tableSum(c.kind, c.slots)
	if v.known && v.sum == c.sum && v.options() == c.options {
		return nil, nil
	}
	if len(c.slots) == 0 {
		return c, nil
	}
	if c.table, err = p.fill(c.slots); err != nil {
		return nil, err
	}
	return c, nil
}

// options are what of a service is not about its table.
func (v *service) options() xdpService {
	o := v.value
	o.Index, o.Table, o.Size, o.Key = 0, 0, 0, 0
	return o
}

func tableSum(kind xdpKeyKind, slots []uint32) uint64 {
	content := binary.NativeEndian.AppendUint32(nil, uint32(kind))
	for _, slot := range slots {
		content = binary.NativeEndian.AppendUint32(content, slot)
	}
	return maphash.Bytes(tableSeed, content)
}

func (p *Plane) fill(slots []uint32) (*ebpf.Map, error) {
	spec := p.objects.table.Copy()
	spec.Name = "table"
	spec.MaxEntries = uint32(len(slots))
	table, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, err
	}
	keys := make([]uint32, len(slots))
	for i := range keys {
		keys[i] = uint32(i)
	}
	if _, err := table.BatchUpdate(keys, slots, nil); err != nil {
		return nil, errors.Join(err, table.Close())
	}
	return table, nil
}

// insertTables is one call for all, since the kernel waits for running programs
// after each.
func (p *Plane) insertTables(changes []*change) error {
	var keys, fds []uint32
	for _, c := range changes {
		if c.table == nil {
			c.index = noTable
			continue
		}
		index, ok := p.state.tables.take()
		if !ok {
			return fmt.Errorf("insert table: more than %d tables", len(p.state.tables.used))
		}
		c.index = index
		// Until a service names it, it is as good as old.
		p.state.oldTables = append(p.state.oldTables, index)
		keys, fds = append(keys, index), append(fds, uint32(c.table.FD()))
	}
	if len(keys) == 0 {
		return nil
	}
	if _, err := p.objects.Tables.BatchUpdate(keys, fds, nil); err != nil {
		return fmt.Errorf("insert tables: %w", err)
	}
	return nil
}

// point makes a service's new table its own; its keys are yet to be written.
func (p *Plane) point(c *change) {
	v := c.service
	p.retireTable(v.value.Table)
	next := c.options
	next.Index, next.Table, next.Size, next.Key = v.value.Index, c.index, uint32(len(c.slots)), c.kind
	v.value, v.sum, v.known = next, c.sum, true
	p.state.oldTables = slices.DeleteFunc(p.state.oldTables, func(t uint32) bool { return t == c.index && t != noTable })
}

func (p *Plane) retireTable(index uint32) {
	if index != noTable {
		p.state.oldTables = append(p.state.oldTables, index)
	}
}

// removeService lets go of a service that no key leads to.
func (p *Plane) removeService(v *service) {
	p.retireTable(v.value.Table)
	p.state.leaving = append(p.state.leaving, v.members...)
	p.state.oldIndices = append(p.state.oldIndices, v.value.Index)
}

// deleteTables deletes what no service and no packet refers to.
func (p *Plane) deleteTables() error {
	if len(p.state.oldTables) == 0 {
		return nil
	}
	for _, index := range p.state.oldTables {
		if err := p.objects.Tables.Delete(index); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("delete table: %w", err)
		}
		p.state.tables.release(index)
	}
	p.state.oldTables = nil
	return nil
}

// awaitPackets returns when every run of the program that began before has
// ended. The kernel waits for just that after a map of maps has been changed
// (maybe_wait_bpf_programs, kernel/bpf/syscall.c).
func (p *Plane) awaitPackets() error {
	table, err := p.fill([]uint32{0})
	if err != nil {
		return fmt.Errorf("wait for packets under way: %w", err)
	}
	defer table.Close()
	if err := p.objects.Tables.Put(uint32(noTable), uint32(table.FD())); err != nil {
		return fmt.Errorf("wait for packets under way: %w", err)
	}
	return nil
}
