package balance

import (
	"math"
	"time"
)

// Peak EWMA. Finagle: loadbalancer/PeakEwma.scala in finagle-core, over its P2C.
//
// Of two backends drawn as by p2c the one with the lower cost is chosen:
// latency × (in flight + 1) / weight. The latency is a moving average that decays
// with time alone, so that a backend that was slow is tried again, but jumps to a
// peak at once. A backend of which nothing is known costs nothing while idle and
// a lot while it is being tried.
//
// That peaks are taken at once and forgotten slowly is what the policy is for, and what
// its shares cost: among equals whose latencies vary, who had a peak gets less until it
// has decayed. In simulations (noise_test.go) five equals, each of which stands still for
// 100 ms now and then, have from 5 to 36 % of 2000 requests in a row, and 20 % ± 1 of
// 200,000. To take latencies that differ by a quarter, or by half, for equal made little
// of that go away, and slower backends get more; Finagle and linkerd do not do so either.
// Who wants equal shares at all times takes p2c or lc.
const (
	decay   = 10 * time.Second // time constant
	unknown = float64(1000 * time.Second)
)

func peakCost(p *place, inFlight, now int64) float64 {
	n := float64(max(inFlight, 0))
	latency := decayed(p.Latency.Load(), now)
	if latency == 0 {
		if n == 0 {
			return 0
		}
		latency = unknown
	}
	return latency * (n + 1) / float64(p.ramped(now))
}

// Observe tells the latency of a request that ended now. Who fails at once seems
// quick: better observe the time that a failed request was given.
//
// Of several in one millisecond that are no peaks the first one counts.
func (m Member) Observe(latency time.Duration, now int64) {
	for {
		old := m.Latency.Load()
		next := observe(old, latency, now)
		if next == old || m.Latency.CompareAndSwap(old, next) {
			return
		}
	}
}

// The word of a latency: the float32 of its nanoseconds, and below it the time of
// it, modulo 2^32 (52 days), in units of 2^20 ns.
func packLatency(latency float64, tick uint32) uint64 {
	return uint64(math.Float32bits(float32(latency)))<<32 | uint64(tick)
}

func observe(word uint64, latency time.Duration, now int64) uint64 {
	rtt := max(float64(latency), 1) // 0 is unknown
	tick := uint32(now >> 20)
	was := decayed(word, now)
	if word == 0 || rtt >= was {
		return packLatency(rtt, tick)
	}
	w := weightOf(elapsed(word, now))
	if w == 1 {
		return word
	}
	return packLatency(was+rtt*(1-w), tick)
}

// decayed is the latency that a word is worth now.
func decayed(word uint64, now int64) float64 {
	return float64(math.Float32frombits(uint32(word>>32))) * weightOf(elapsed(word, now))
}

// elapsed is how long ago, in units of 2^20 ns, a word was written. Another
// process's clock may have been read a little later than now.
func elapsed(word uint64, now int64) uint32 {
	ago := uint32(now>>20) - uint32(word)
	if ago > 1<<32-1<<16 { // a minute ahead
		return 0
	}
	return ago
}

func weightOf(ticks uint32) float64 {
	if ticks == 0 {
		return 1
	}
	return math.Exp(-float64(ticks) * (1 << 20) / float64(decay))
}
