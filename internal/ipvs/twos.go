package ipvs

import "time"

// Power of two random choices. Kernel: net/netfilter/ipvs/ip_vs_twos.c (since
// Linux 5.13; Debian 12 does not build it, so no guest has confirmed this one).
//
// Two backends are drawn by weight; the second is taken if its
// (256*active+inactive)/weight is less than the first one's. A draw is from
// [0, sum of weights], and 0 falls to the first backend in the list: that one is
// drawn with its weight + 1 out of the sum + 1. Sums and products have 32 bits,
// so weights whose sum passes 2^31 do not mean what they say.
type twos struct{}

func (twos) choose(s *Scheduler, _ Packet, _ time.Duration) *backend {
	sum, last := int32(0), (*backend)(nil)
	for _, d := range s.backends {
		if d.takes() {
			sum += d.weight
			last = d
		}
	}
	if last == nil {
		return nil
	}
	n := uint32(sum + 1)
	if n == 0 { // weights that add up to 2^32-1: the kernel divides by zero
		return nil
	}
	first := s.draw(int32(s.options.Rand(n)))
	second := s.draw(int32(s.options.Rand(n)))
	weight, load := int32(-1), int32(0)
	if first == nil { // only if the sum wrapped
		first = last
	} else {
		weight, load = first.weight, first.overhead()
	}
	if second != nil && second.weight*load > weight*second.overhead() {
		return second
	}
	return first
}

// draw returns the backend at which the weights, taken off one by one, have used
// up the draw; nil if none has.
func (s *Scheduler) draw(rest int32) *backend {
	for _, d := range s.backends {
		if !d.takes() {
			continue
		}
		if rest -= d.weight; rest <= 0 {
			return d
		}
	}
	return nil
}
