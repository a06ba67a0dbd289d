package ipvs

import "time"

// Source hash. Kernel: net/netfilter/ipvs/ip_vs_sh.c.
//
// As dh, but by the source address, and a backend takes as many buckets at a
// time as it weighs. 256 buckets are all there are: the first backends in the
// list whose weights pass that take all. One of weight 0 gets a bucket, too, and
// refuses whom it meets.
//
// With sh-port the source port is added to the address before hashing. With
// sh-fallback a client whose backend takes nothing looks on in up to 256 other
// buckets: those at a fixed distance from its own, the distances beginning with
// the number of its own bucket.
type sh struct {
	buckets [1 << tableBits]*backend
}

func (h *sh) changed(s *Scheduler) {
	deal(h.buckets[:], s.backends, func(d *backend) int32 { return d.weight })
}

func (h *sh) choose(s *Scheduler, p Packet, _ time.Duration) *backend {
	key := fold(p.Src.Addr())
	if s.options.Port {
		key += uint32(p.Src.Port())
	}
	slot := func(offset uint32) uint32 {
		return (offset + hash32(key, tableBits)) % uint32(len(h.buckets))
	}
	return hashed(h.buckets[:], slot, s.options.Fallback)
}

// hashed returns the backend in slot(0) or, with fallback, the first one that
// takes something new in slot(o), o going around the table once from slot(0) on.
func hashed(table []*backend, slot func(offset uint32) uint32, fallback bool) *backend {
	first := slot(0)
	d := table[first]
	if d == nil || d.takes() {
		return d
	}
	if !fallback {
		return nil
	}
	size := uint32(len(table))
	for offset := range size {
		d := table[slot((offset+first)%size)]
		if d == nil {
			return nil
		}
		if d.takes() {
			return d
		}
	}
	return nil
}
