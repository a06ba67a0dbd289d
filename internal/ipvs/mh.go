package ipvs

import (
	"math/bits"
	"net/netip"
	"time"
)

// Maglev hashing. Kernel: net/netfilter/ipvs/ip_vs_mh.c. D. Eisenbud et al.,
// "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
// section 3.4.
//
// A table of 4093 slots (CONFIG_IP_VS_MH_TAB_INDEX 12, also Debian's). Backends
// take turns in list order; at its turn a backend takes as many free slots off
// its preference list as its weight, divided by all weights' common divisor and
// shifted right until the heaviest has at most 6 bits, at least one. Unlike in
// the paper the order in which backends were added matters, and a turn is a
// burst.
//
// The table is built from the last weights that were not 0, so a backend that is
// quiesced keeps its slots and refuses whom it meets, or, with mh-fallback, sends
// them on to where hsiphash of another offset leads. mh-port adds the source port
// to the address before hashing.
type mh struct {
	table []*backend // empty: no backend
}

const (
	mhSize      = 4093
	mhWeightLen = 6 // bits; IP_VS_MH_TAB_BITS
	mhKey1      = 2654435761
	mhKey2      = 2654446892
)

func (m *mh) changed(s *Scheduler) {
	if len(s.backends) > mhSize {
		return // EINVAL, which nobody looks at: the old table stays
	}
	divisor := s.divisor(func(d *backend) int32 { return d.lastWeight })
	if divisor < 1 {
		m.table = nil
		return
	}
	m.table = populate(preferences(s.backends, divisor))
}

// preference is where a backend is on its list of slots, and how many it takes
// in a turn.
type preference struct {
	backend *backend
	slot    uint32
	skip    uint32
	turns   int32
}

func preferences(backends []*backend, divisor int32) []preference {
	heaviest := int32(0)
	for _, d := range backends {
		heaviest = max(heaviest, d.lastWeight)
	}
	shift := max(0, bits.Len32(uint32(heaviest/divisor))-mhWeightLen)
	lists := make([]preference, len(backends))
	for i, d := range backends {
		turns := d.lastWeight / divisor >> shift
		if turns == 0 && d.lastWeight != 0 {
			turns = 1
		}
		lists[i] = preference{
			backend: d, turns: turns,
			slot: mhHash(d.addr.Addr(), d.addr.Port(), mhKey1, 0) % mhSize,
			skip: mhHash(d.addr.Addr(), d.addr.Port(), mhKey2, 0)%(mhSize-1) + 1,
		}
	}
	return lists
}

func populate(lists []preference) []*backend {
	table := make([]*backend, mhSize)
	for taken := 0; ; {
		for i := range lists {
			l := &lists[i]
			for range l.turns {
				for table[l.slot] != nil {
					l.slot = (l.slot + l.skip) % mhSize
				}
				table[l.slot] = l.backend
				if taken++; taken == mhSize {
					return table
				}
			}
		}
	}
}

func (m *mh) choose(s *Scheduler, p Packet, _ time.Duration) *backend {
	if len(m.table) == 0 {
		return nil
	}
	port := uint16(0)
	if s.options.Port {
		port = p.Src.Port()
	}
	slot := func(offset uint32) uint32 { return mhHash(p.Src.Addr(), port, mhKey1, offset) % mhSize }
	return hashed(m.table, slot, s.options.Fallback)
}

func mhHash(a netip.Addr, port uint16, key uint64, offset uint32) uint32 {
	return hsiphash(offset+uint32(port)+fold(a), key)
}
