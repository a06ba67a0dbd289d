package balance

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"lbctl/internal/lb"
)

// place is a backend that may be chosen.
type place struct {
	Member
	id        lb.BackendID
	weight    uint64
	limit     int64 // of InFlight
	slowStart time.Duration
}

func newPlace(b lb.Backend, s lb.Service, m Member) place {
	p := place{Member: m, id: b.ID, weight: uint64(b.Weight), limit: math.MaxInt64, slowStart: s.HTTP.SlowStart}
	if b.MaxConn > 0 {
		p.limit = int64(b.MaxConn)
	}
	return p
}

// take adds one to the requests in flight if they are fewer than limit.
func (p *place) take(limit int64) bool {
	for {
		n := p.InFlight.Load()
		if n >= limit {
			return false
		}
		if p.InFlight.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// ramped is the weight in units of 1/fullRamp, as far as slow start permits.
func (p *place) ramped(now int64) uint64 {
	if p.slowStart <= 0 {
		return p.weight * fullRamp
	}
	// Who comes back from an ejection starts slowly, too.
	since := max(p.UpSince.Load(), p.EjectedUntil.Load())
	return p.weight * Ramp(now, since, p.slowStart)
}

// ask is what a place is sought for.
type ask struct {
	Key
	tried     []lb.BackendID
	desperate bool // ejections do not count
	moved     bool // a place that was open had no room by the bound
}

// open reports whether a place may be chosen at this instant.
func (a *ask) open(p *place) bool {
	return (a.desperate || p.EjectedUntil.Load() <= a.Now) &&
		p.InFlight.Load() < p.limit && !slices.Contains(a.tried, p.id)
}

// passes lets a place that was drawn by its whole weight have it only as often
// as slow start permits. salt makes repeated draws of one request independent.
func (a *ask) passes(p *place, salt uint64) bool {
	if p.slowStart <= 0 {
		return true
	}
	return mix(a.Random^mix(salt+golden))%fullRamp*p.weight < p.ramped(a.Now)
}

// among draws one of n indices by the weights that weigh gives, taking the 64
// bits of r for a fraction of their sum; -1 if all are 0. It looks at all twice.
func among(n int, r uint64, weigh func(i int) uint64) int {
	var sum uint64
	for i := range n {
		sum += weigh(i)
	}
	at, last := scale(r, sum), -1
	for i := range n {
		w := weigh(i)
		if w == 0 {
			continue
		}
		if last = i; at < w {
			break
		}
		at -= w
	}
	return last // the weights may have changed meanwhile: then the last that has one
}

// scale returns the fraction r/2^64 of n, rounded down.
func scale(r, n uint64) uint64 {
	hi, _ := bits.Mul64(r, n)
	return hi
}
