package ipvs

import (
	"math/rand/v2"
	"testing"
)

// The walk begins on the lowest level, where adding the first backend left it.
func TestWeightedRoundRobinServesTheSurplusFirst(t *testing.T) {
	want(t, choices(service(t, "wrr", Options{}, 4, 3, 2), 3+9+9), "123"+"112123123"+"112123123")
}

func TestWeightedRoundRobinCountsByTheCommonDivisor(t *testing.T) {
	want(t, choices(service(t, "wrr", Options{}, 300, 100), 2+4+4), "12"+"1112"+"1112")
	got := shares(service(t, "wrr", Options{}, 1<<30, 1<<29, 1<<28), 700)
	if got[1] != 400 || got[2] != 200 || got[3] != 100 {
		t.Errorf("shares %v, want 400 200 100", got)
	}
}

func TestWeightedRoundRobinStartsAgainAfterAChange(t *testing.T) {
	s := service(t, "wrr", Options{}, 3, 1)
	want(t, choices(s, 4), "1211")
	must(t, s.Edit(Backend{Addr: addr(2), Weight: 1})) // at level 2 still, from the head
	want(t, choices(s, 7), "1121112")
}

func TestWeightedRoundRobinWithOneOverloaded(t *testing.T) {
	s := service(t, "wrr", Options{}, 4, 2, 1)
	must(t, s.Edit(Backend{Addr: addr(1), Weight: 4, Upper: 1}))
	flows(t, s, 1, 1, true)
	got := shares(s, 300)
	if got[2] != 200 || got[3] != 100 {
		t.Errorf("shares %v, want 200 of backend 2 and 100 of 3", got)
	}
	must(t, s.Edit(Backend{Addr: addr(2), Weight: 0}))
	must(t, s.Edit(Backend{Addr: addr(3), Weight: 0}))
	want(t, choices(s, 3), "---")
}

// Without sink this would take minutes, as it does in the kernel.
func TestWeightedRoundRobinReachesALightBackendUnderAHugeOne(t *testing.T) {
	s := service(t, "wrr", Options{}, 1<<31-1, 5, 3)
	must(t, s.Edit(Backend{Addr: addr(1), Weight: 1<<31 - 1, Upper: 1}))
	flows(t, s, 1, 1, true)
	want(t, choices(s, 10), "2322232323")
	must(t, s.Delete(addr(2)))
	must(t, s.Delete(addr(3)))
	want(t, choices(s, 2), "--")
}

// The levels skipped are those that the plain walk finds empty.
func TestSinkingChangesNoChoice(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		weights := make([]uint32, 1+r.IntN(4))
		for i := range weights {
			weights[i] = uint32(r.IntN(30))
		}
		a, b := service(t, "wrr", Options{}, weights...), service(t, "wrr", Options{}, weights...)
		for range 5 {
			full := 1 + r.IntN(len(weights))
			for _, s := range []*Scheduler{a, b} {
				d := s.backends[s.find(addr(full))]
				d.overloaded = !d.overloaded
			}
			for range 1 + r.IntN(20) {
				x, y := a.policy.choose(a, Packet{}, 0), plainWalk(b)
				if (x == nil) != (y == nil) || x != nil && x.addr != y.addr || *a.policy.(*wrr) != levels(a, b) {
					t.Fatalf("weights %v: sinking chose %v, the plain walk %v", weights, x, y)
				}
			}
		}
	}
}

// levels is b's state, with a's backend for b's.
func levels(a, b *Scheduler) wrr {
	w := *b.policy.(*wrr)
	if w.last != nil {
		w.last = a.backends[b.find(w.last.addr)]
	}
	return w
}

// plainWalk chooses level by level.
func plainWalk(s *Scheduler) *backend {
	w := s.policy.(*wrr)
	if w.most == 0 {
		return nil
	}
	began := -1
	if w.last != nil {
		began = s.find(w.last.addr)
	}
	for at, stop, lowest, restarted := began, -1, false, false; ; {
		for at++; at < len(s.backends); at++ {
			if d := s.backends[at]; !d.overloaded && d.weight >= w.level {
				w.last = d
				return d
			}
			if at == stop {
				w.last = s.backends[at]
				return nil
			}
		}
		at = -1
		if w.level -= w.step; w.level <= 0 {
			w.level = w.most
			if lowest || began < 0 {
				w.last = nil
				return nil
			}
			restarted = true
		}
		if lowest = w.level <= w.step; lowest && restarted && began >= 0 {
			stop = began
		}
	}
}
