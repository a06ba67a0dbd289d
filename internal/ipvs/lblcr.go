package ipvs

import (
	"slices"
	"time"
)

// Locality-based least connections with replication. Kernel:
// net/netfilter/ipvs/ip_vs_lblcr.c.
//
// Each destination address has a set of backends and goes to the least loaded of
// them, by wlc's measure. If that one has more active flows than its weight while
// some other has fewer than half of its own, or none of the set takes anything,
// wlc's choice among all joins the set and is taken. A set of two or more that
// has not changed for the expiration time loses its most loaded backend at the
// next packet, which may still go there.
//
// A backend that is deleted stays in its sets, passed over, and is used again
// when it comes back.
type lblcr struct {
	cache *cache[*backendSet]
}

type backendSet struct {
	members  []*backend // the last one to join comes first
	modified time.Duration
}

func newLBLCR() *lblcr { return &lblcr{newCache[*backendSet]()} }

func (l *lblcr) choose(s *Scheduler, p Packet, now time.Duration) *backend {
	l.cache.advance(now, s.options.Expiration)
	e := l.cache.get(p.Dst.Addr())
	if e == nil {
		d := leastLoaded(s.backends, (*backend).overhead)
		if d != nil {
			set := &backendSet{members: []*backend{d}, modified: now}
			l.cache.put(&entry[*backendSet]{addr: p.Dst.Addr(), value: set, lastUsed: now})
		}
		return d
	}
	e.lastUsed = now
	set := e.value
	d := set.least()
	if len(set.members) > 1 && now > set.modified+s.options.Expiration {
		set.shrink(now)
	}
	if d != nil && !s.beyond(d) {
		return d
	}
	if d = leastLoaded(s.backends, (*backend).overhead); d != nil {
		set.join(d, now)
	}
	return d
}

func (b *backendSet) least() *backend {
	var least *backend
	for _, d := range b.members {
		if d.available && d.takes() && (least == nil || lighter(d, least, (*backend).overhead)) {
			least = d
		}
	}
	return least
}

func (b *backendSet) join(d *backend, now time.Duration) {
	if !slices.Contains(b.members, d) {
		b.members = slices.Insert(b.members, 0, d)
		b.modified = now
	}
}

// shrink drops the first one of the most load per weight, members of the service
// or not, but none of weight 0.
func (b *backendSet) shrink(now time.Duration) {
	most := -1
	for i, d := range b.members {
		if d.weight > 0 && (most < 0 || lighter(b.members[most], d, (*backend).overhead)) {
			most = i
		}
	}
	if most >= 0 {
		b.members = slices.Delete(b.members, most, most+1)
		b.modified = now
	}
}
