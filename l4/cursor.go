package l4

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"lbctl/internal/ipvs"
)

// cursor is where rr or wrr stand in a table (bpf/turns.h).
type cursor struct {
	level uint32 // of wrr
	place uint32 // 0: the head of the list, else 1 + the index of the member chosen last
}

func (c cursor) word() uint64 { return uint64(c.level)<<32 | uint64(c.place) }

// carry gives a service's new table the cursor that the kernel's lists would have
// after the same changes. Turns that are taken from now until the service is
// pointed to that table are not counted.
func (p *Plane) carry(c *change) error {
	if c.next.Policy != xdpPolicyRR && c.next.Policy != xdpPolicyWRR {
		return nil
	}
	var was, next cursor
	var before []uint16
	if old := c.service.value; old.Table != noTable && old.Policy == c.next.Policy {
		var err error
		if was, err = p.cursor(old.Table); err != nil {
			return err
		}
		if before, err = p.slotsIn(old); err != nil {
			return err
		}
	}
	if c.next.Policy == xdpPolicyRR {
		next.place = placeAfter(before, was.place, c.content.slots)
	} else {
		next.level = levelAfter(before, was.level, c.content)
	}
	if err := p.objects.Cursors.Put(c.next.Table, next.word()); err != nil {
		return fmt.Errorf("write cursor: %w", err)
	}
	return nil
}

// placeAfter returns rr's place in a list that has changed: that of the member
// chosen last or, if it has gone, of the nearest one before it that stayed.
func placeAfter(before []uint16, place uint32, after []uint16) uint32 {
	for i := min(int(place), len(before)); i > 0; i-- {
		if at := slices.Index(after, before[i-1]); at >= 0 {
			return uint32(at) + 1
		}
	}
	return 0
}

// levelAfter returns wrr's level once those that stayed have changed and the new
// ones were added, one after another: a level says from which weights it came.
func levelAfter(before []uint16, level uint32, c *content) uint32 {
	stays := make(map[uint16]bool, len(before))
	for _, slot := range before {
		stays[slot] = true
	}
	added := 0
	for added < len(c.slots) && !stays[c.slots[added]] {
		added++
	}
	members := c.ipvs()
	for i := added; i >= 0; i-- {
		level = ipvs.LevelsAfter(level, members[i:]).Now
	}
	return level
}

func (p *Plane) cursor(table uint32) (cursor, error) {
	var word uint64
	if err := p.objects.Cursors.Lookup(table, &word); err != nil {
		return cursor{}, fmt.Errorf("read cursor: %w", err)
	}
	return cursor{level: uint32(word >> 32), place: uint32(word)}, nil
}

// slotsIn reads the first part of a service's table.
func (p *Plane) slotsIn(v xdpService) ([]uint16, error) {
	var table *ebpf.Map
	if err := p.objects.Tables.Lookup(v.Table, &table); err != nil {
		return nil, fmt.Errorf("open table: %w", err)
	}
	defer table.Close()
	lines := make([]xdpLine, table.MaxEntries())
	if err := readArray(table, lines); err != nil {
		return nil, fmt.Errorf("read table: %w", err)
	}
	var out []uint16
	for _, line := range lines {
		out = append(out, line.Slot[:]...)
	}
	return out[:min(int(v.Size), len(out))], nil
}
