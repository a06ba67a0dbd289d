package balance

import "math/bits"

// Least connections. Kernel: net/netfilter/ipvs/ip_vs_lc.c, and for wlc
// ip_vs_wlc.c (see wlc.go).
//
// The backend with the fewest in flight is chosen; weights are ignored, save
// that 0 takes nothing new. Among equals the kernel takes the first, so that an
// idle service sends everything to one backend; here the scan starts where round
// robin stands, so equals share evenly, as they do in nginx and HAProxy.
//
// The choice is exact under concurrency: a place is taken only if it has as many
// in flight as the scan saw, and else the scan is done anew. So as long as no
// request ends, no backend is ever more than one ahead of another (of lc, of
// equal weights). Backends that are not open are left out. A choice takes as many
// steps as there are backends; p2c is for hundreds of them.
type leastLoaded struct {
	*walked
}

func (l leastLoaded) choose(a *ask) *place {
	for {
		start := l.next(a)
		if start < 0 {
			return nil
		}
		for {
			best, n := l.least(a, start)
			if best == nil {
				break // all have closed meanwhile: next sees that, too
			}
			if best.InFlight.CompareAndSwap(n, n+1) {
				return best
			}
		}
	}
}

// least scans all places from start and returns the best with what it has in flight.
func (l leastLoaded) least(a *ask, start int) (best *place, inFlight int64) {
	var bestWeight uint64
	for i, left := start, len(l.places); left > 0; i, left = i+1, left-1 {
		if i == len(l.places) {
			i = 0
		}
		p := &l.places[i]
		n := p.InFlight.Load()
		if n >= p.limit || !a.open(p) {
			continue
		}
		w := p.ramped(a.Now)
		if best == nil || lessPer(n, w, inFlight, bestWeight) {
			best, inFlight, bestWeight = p, n, w
		}
	}
	return best, inFlight
}

// lessPer reports a/wa < b/wb without dividing.
func lessPer(a int64, wa uint64, b int64, wb uint64) bool {
	hi, lo := bits.Mul64(uint64(max(a, 0)), wb)
	otherHi, otherLo := bits.Mul64(uint64(max(b, 0)), wa)
	return hi < otherHi || hi == otherHi && lo < otherLo
}
