package ipvs

import "time"

// Destination hash. Kernel: net/netfilter/ipvs/ip_vs_dh.c.
//
// The destination address is hashed into 256 buckets, and the backends take
// buckets in turn, each one at a time, whatever its weight. One of weight 0 or
// overloaded keeps its buckets: who meets it is refused, not sent elsewhere.
type dh struct {
	buckets [1 << tableBits]*backend
}

const tableBits = 8 // CONFIG_IP_VS_DH_TAB_BITS and CONFIG_IP_VS_SH_TAB_BITS

func (h *dh) changed(s *Scheduler) {
	deal(h.buckets[:], s.backends, func(*backend) int32 { return 1 })
}

func (h *dh) choose(_ *Scheduler, p Packet, _ time.Duration) *backend {
	d := h.buckets[hash32(fold(p.Dst.Addr()), tableBits)]
	if d == nil || !d.takes() {
		return nil
	}
	return d
}

// deal gives the buckets to the backends in turn, run of them at a time, at
// least one, and goes around until the buckets are dealt.
func deal(buckets, backends []*backend, run func(*backend) int32) {
	at, count := 0, int32(0)
	for i := range buckets {
		if len(backends) == 0 {
			buckets[i] = nil
			continue
		}
		d := backends[at]
		buckets[i] = d
		if count++; count >= run(d) {
			at, count = (at+1)%len(backends), 0
		}
	}
}
