package ipvs

import "time"

// Locality-based least connections. Kernel: net/netfilter/ipvs/ip_vs_lblc.c.
//
// The first packet to a destination address goes where wlc sends it, and later
// ones follow, until that backend is gone, has weight 0, or has more active
// flows than its weight while some other has fewer than half of its own. The
// overload mark counts when a backend is chosen anew, not for one remembered.
type lblc struct {
	cache *cache[*backend]
}

func newLBLC() *lblc { return &lblc{newCache[*backend]()} }

func (l *lblc) choose(s *Scheduler, p Packet, now time.Duration) *backend {
	l.cache.advance(now, s.options.Expiration)
	e := l.cache.get(p.Dst.Addr())
	if e != nil {
		e.lastUsed = now
		if d := e.value; d.available && d.weight > 0 && !s.beyond(d) {
			return d
		}
	}
	d := leastLoaded(s.backends, (*backend).overhead)
	if d == nil || e != nil && e.value == d {
		return d
	}
	if e != nil {
		l.cache.drop(e)
	}
	l.cache.put(&entry[*backend]{addr: p.Dst.Addr(), value: d, lastUsed: now})
	return d
}

// beyond reports whether a backend has more active flows than its weight while
// some member has fewer than half of its own weight.
func (s *Scheduler) beyond(d *backend) bool {
	if d.active <= d.weight {
		return false
	}
	for _, other := range s.backends {
		if other.active*2 < other.weight {
			return true
		}
	}
	return false
}
