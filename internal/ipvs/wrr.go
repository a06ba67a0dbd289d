package ipvs

import (
	"slices"
	"time"
)

// Weighted round robin. Kernel: net/netfilter/ipvs/ip_vs_wrr.c.
//
// The list is walked again and again. In each walk a backend is taken if its
// weight reaches a level; the level sinks by the greatest common divisor of all
// weights after each walk, from the greatest weight (less the divisor, plus 1)
// down to 1, and then begins anew. So a heavy backend's surplus comes in one
// burst. A change of the backends sends the walk back to the head of the list
// and keeps the level, cut to the new levels.
type wrr struct {
	last  *backend // nil: the head of the list
	level int32
	most  int32 // the first level
	step  int32
}

func newWRR() *wrr { return &wrr{step: 1} }

func (w *wrr) changed(s *Scheduler) {
	w.last = nil
	w.step = max(1, s.divisor(func(d *backend) int32 { return d.weight }))
	heaviest := int32(0)
	for _, d := range s.backends {
		heaviest = max(heaviest, d.weight)
	}
	w.most = heaviest - (w.step - 1)
	switch {
	case w.level > w.most || w.level == 0:
		w.level = w.most
	case w.step > 1:
		w.level = w.level/w.step*w.step + 1
	}
}

// choose walks from behind the last choice. It gives up once every backend was
// looked at on the lowest level: in one whole walk on it, or, if the search
// began within it, in that rest and the next time up to where it began.
func (w *wrr) choose(s *Scheduler, _ Packet, _ time.Duration) *backend {
	if w.most == 0 {
		return nil
	}
	began := -1
	if w.last != nil {
		began = slices.Index(s.backends, w.last)
	}
	at, stop := began, -1
	lowest, restarted := false, false
	for {
		for at++; at < len(s.backends); at++ {
			d := s.backends[at]
			if !d.overloaded && d.weight >= w.level {
				w.last = d
				return d
			}
			if at == stop {
				w.last = d
				return nil
			}
		}
		at = -1
		w.level -= w.step
		w.sink(s)
		if w.level <= 0 {
			w.level = w.most
			if lowest || began < 0 {
				w.last = nil
				return nil
			}
			restarted = true
		}
		lowest = w.level <= w.step
		if lowest && restarted && began >= 0 {
			stop = began
		}
	}
}

// sink takes the level past those that no backend reaches, which would be as many
// walks in vain, up to 2^31 of them (the kernel does walk them, under a lock). It
// stays on the lowest level at least.
func (w *wrr) sink(s *Scheduler) {
	reach := int32(0)
	for _, d := range s.backends {
		if !d.overloaded {
			reach = max(reach, d.weight)
		}
	}
	if w.level > reach {
		levels := (int64(w.level) - int64(reach) + int64(w.step) - 1) / int64(w.step)
		levels = min(levels, int64(w.level-1)/int64(w.step))
		w.level -= int32(levels) * w.step
	}
}

// divisor returns the greatest common divisor of the weights above 0, 0 if
// there is none.
func (s *Scheduler) divisor(weight func(*backend) int32) int32 {
	g := int32(0)
	for _, d := range s.backends {
		w := weight(d)
		for w > 0 {
			g, w = w, g%w
		}
	}
	return g
}
