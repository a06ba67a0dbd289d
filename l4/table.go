package l4

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"lbctl/internal/ipvs"
)

// noTable is an index in the map of tables that no service's table has.
const noTable = 0

// change is a table that is to take another's place.
type change struct {
	service *service
	content *content
	next    xdpService // save its options
	table   *ebpf.Map  // nil: no member, no table
}

// switchTables gives each service whose table has changed a new one: first all
// tables are inserted, then each key is made to lead to its service as that is
// now, in one step. The old tables stay until no key leads to them.
func (p *Plane) switchTables(want []*wanted, services []*service, d *destinations) error {
	var changes []*change
	defer func() {
		for _, c := range changes {
			if c.table != nil {
				c.table.Close() // the map of maps holds it
			}
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
		if err := p.point(c); err != nil {
			return err
		}
	}
	for i, w := range want {
		services[i].setOptions(w.value)
	}
	return p.writeKeys(d)
}

// newTable returns nil if the service has the right table already.
func (p *Plane) newTable(w *wanted, v *service) (*change, error) {
	c := &change{service: v, content: contentOf(w, v)}
	sum := c.content.sum()
	if v.value.Sum == sum {
		return nil, nil
	}
	policy, hashes, err := c.content.parts()
	if err != nil {
		return nil, err
	}
	c.next = xdpService{
		Sum: sum, Index: v.value.Index, Table: noTable, Size: uint32(len(policy)), Hashes: uint32(len(hashes)),
		Policy: c.content.policy,
	}
	if c.next.Policy == xdpPolicyWRR {
		levels := ipvs.LevelsAfter(0, c.content.ipvs())
		c.next.Step, c.next.Most = levels.Step, levels.Most
	}
	if len(policy)+len(hashes) == 0 {
		return c, nil
	}
	if c.table, err = p.fill(toLines(policy, hashes)); err != nil {
		return nil, err
	}
	return c, nil
}

// setOptions changes what of a service is not about its table.
func (v *service) setOptions(o xdpService) {
	v.value.Lost, v.value.Flags = o.Lost, o.Flags
}

func (p *Plane) fill(lines []xdpLine) (*ebpf.Map, error) {
	spec := p.objects.table.Copy()
	spec.Name = "table"
	spec.MaxEntries = uint32(len(lines))
	table, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, err
	}
	keys := make([]uint32, len(lines))
	for i := range keys {
		keys[i] = uint32(i)
	}
	if _, err := table.BatchUpdate(keys, lines, nil); err != nil {
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
			continue
		}
		index, ok := p.state.tables.take()
		if !ok {
			return fmt.Errorf("insert table: more than %d tables", len(p.state.tables.used))
		}
		c.next.Table = index
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

// point makes a service's new table its own, from where it stood in the old one;
// its keys are yet to be written.
func (p *Plane) point(c *change) error {
	if err := p.carry(c); err != nil {
		return fmt.Errorf("point service %q to its table: %w", c.service.name, err)
	}
	old := c.service.value.Table
	c.service.value = c.next
	p.retireTable(old)
	p.state.oldTables = slices.DeleteFunc(p.state.oldTables, func(t uint32) bool { return t == c.next.Table })
	return nil
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
	if err := p.objects.Tables.Put(uint32(noTable), uint32(p.objects.EmptyTable.FD())); err != nil {
		return fmt.Errorf("wait for packets under way: %w", err)
	}
	return nil
}
