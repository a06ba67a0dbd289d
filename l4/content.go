package l4

import (
	"encoding/binary"
	"hash/fnv"

	"lbctl/internal/balance"
	"lbctl/internal/ipvs"
	"lbctl/internal/lb"
)

// contentVersion is counted up when the same members get another table.
const contentVersion = 1

// noSlot is a slot that none is.
const noSlot = 0xffff

// content is what a service's table is made from: its members in the kernel's
// order, and where they are.
type content struct {
	policy  xdpPolicy
	members []lb.Backend
	slots   []uint16
	past    []uint32 // the members' last weights that were not 0
}

func contentOf(w *wanted, v *service) *content {
	c := &content{policy: policies[w.Policy], members: w.members()}
	bySlot := make(map[lb.BackendID]*member, len(v.members))
	for _, m := range v.members {
		bySlot[m.id] = m
	}
	for _, b := range c.members {
		m := bySlot[b.ID]
		c.slots = append(c.slots, uint16(m.slot))
		c.past = append(c.past, m.backend.PastWeight)
	}
	return c
}

// sum tells contents apart, also from one run of the daemon to the next. It is never 0.
func (c *content) sum() uint64 {
	h := fnv.New64a()
	add := func(words ...uint32) {
		for _, w := range words {
			h.Write(binary.LittleEndian.AppendUint32(nil, w))
		}
	}
	add(contentVersion, uint32(c.policy))
	for i, b := range c.members {
		add(uint32(c.slots[i]), uint32(b.ID), b.Weight, c.past[i], uint32(b.Addr.Port()))
		if c.policy == xdpPolicyWRR {
			add(b.Upper, b.Lower) // wrr begins a walk anew with each edit
		}
		addr := b.Addr.Addr().As16()
		h.Write(addr[:])
	}
	return h.Sum64() | 1
}

// parts returns the slots of both parts of the table (see struct line), either
// empty if nobody could be chosen.
func (c *content) parts() (policy, hashes []uint16, err error) {
	if len(c.members) == 0 {
		return nil, nil, nil
	}
	policy = c.slots
	if name, yes := buckets[c.policy]; yes {
		of, err := ipvs.Table(name, c.ipvs())
		if err != nil {
			return nil, nil, err
		}
		policy = make([]uint16, len(of)) // none if no member ever had a weight
		for i, k := range of {
			policy[i] = c.slots[k]
		}
	}
	ids, err := balance.Table(lb.Maglev, c.members, hashSize(len(c.members)))
	if err != nil {
		return nil, nil, err
	}
	slotOf := map[lb.BackendID]uint16{}
	for i, b := range c.members {
		slotOf[b.ID] = c.slots[i]
	}
	for _, id := range ids {
		hashes = append(hashes, slotOf[id])
	}
	return policy, hashes, nil
}

// hashSize is a prime of at least a hundred slots for each of some backends, so
// that their shares differ by a percent at most (Maglev, section 5.3).
func hashSize(backends int) int {
	if backends <= 40 {
		return 4093
	}
	return balance.DefaultSize
}

func (c *content) ipvs() []ipvs.Member {
	out := make([]ipvs.Member, len(c.members))
	for i, b := range c.members {
		out[i] = ipvs.Member{Addr: b.Addr, Weight: b.Weight, PastWeight: c.past[i]}
	}
	return out
}

// toLines lays both parts out, each from the beginning of a line.
func toLines(parts ...[]uint16) []xdpLine {
	var lines []xdpLine
	for _, part := range parts {
		for len(part) > 0 {
			var line xdpLine
			for i := range line.Slot {
				line.Slot[i] = noSlot
			}
			n := copy(line.Slot[:], part)
			lines, part = append(lines, line), part[n:]
		}
	}
	return lines
}
