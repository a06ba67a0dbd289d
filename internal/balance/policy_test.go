package balance

import (
	"strconv"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// sharing are the policies that share by weight (or evenly) while nothing is in
// flight, and within what of a share 21000 requests do.
var sharing = []struct {
	policy lb.Policy
	even   bool
	within float64
}{
	{lb.RoundRobin, true, 1e-9},
	{lb.WeightedRoundRobin, false, 1e-9},
	{lb.LeastConn, true, 1e-9},
	{lb.WeightedLeastConn, false, 1e-9},
	// Five standard deviations of 21000 draws are at most 0.0173.
	{lb.Random, false, 0.0173},
	{lb.PowerOfTwo, false, 0.0173},
	{lb.PeakEWMA, false, 0.0173},
	{lb.SourceHash, false, 0.0173},
	{lb.Maglev, false, 0.0173},
	{lb.KeyHash, false, 0.0173},
}

const requests = 21000 // whole periods of all of the weights below, with and without one

func TestSharesFollowTheWeights(t *testing.T) {
	for _, c := range sharing {
		for _, weights := range [][]float64{{5, 3, 2}, {1, 1, 1, 1, 1}, {1, 9, 4}} {
			var backends []uint32
			want := make([]float64, len(weights))
			for i, w := range weights {
				backends = append(backends, uint32(w))
				want[i] = w
				if c.even {
					want[i] = 1
				}
			}
			p := mustNew(t, service(c.policy, members(backends...)), new(words))
			wantShares(t, string(c.policy), picks(t, p, requests), c.within, want...)
		}
	}
}

// caddy gives 500:100 here where the others' weights say 120:480.
func TestOthersKeepTheirProportionsWithoutABackend(t *testing.T) {
	for _, c := range sharing {
		want := []float64{5, 0, 2}
		if c.even {
			want = []float64{1, 0, 1}
		}
		for _, out := range []struct {
			why   string
			do    func(backends []lb.Backend, w *words)
			tried []lb.BackendID
		}{
			{"down", func(b []lb.Backend, _ *words) { b[1].Health = lb.Down }, nil},
			{"ejected", func(_ []lb.Backend, w *words) { w.members[2].ejectedUntil.Store(1001 * second) }, nil},
			{"full", func(b []lb.Backend, w *words) { b[1].MaxConn = 7; w.set(0, 7) }, nil},
			{"tried", func([]lb.Backend, *words) {}, []lb.BackendID{2}},
		} {
			var w words
			backends := members(5, 3, 2)
			out.do(backends, &w)
			p := mustNew(t, service(c.policy, backends), &w)
			got := picks(t, p, requests, out.tried...)
			wantShares(t, string(c.policy)+" with 2 "+out.why, got, c.within, want...)
		}
	}
}

func TestAnEjectionEnds(t *testing.T) {
	for _, p := range allPolicies {
		var w words
		w.members[1].ejectedUntil.Store(client(0).Now)
		if got := picks(t, mustNew(t, service(p, equals(2)), &w), 100); got[1] == 0 {
			t.Errorf("%s: picks %v after the ejection", p, got)
		}
	}
}

func TestAllEjectedAreChosenFromAsIfNoneWere(t *testing.T) {
	for _, c := range sharing {
		var w words
		for i := range w.members {
			w.members[i].ejectedUntil.Store(1e6 * second)
		}
		p := mustNew(t, service(c.policy, equals(3)), &w)
		wantShares(t, string(c.policy)+" with all ejected", picks(t, p, requests), c.within, 1, 1, 1)
	}
}

func TestAllTriedOrFullMeansNone(t *testing.T) {
	backends := equals(3)
	backends[2].MaxConn = 2
	for _, p := range allPolicies {
		w := new(words).set(0, 0, 2)
		if id, ok := mustNew(t, service(p, backends), w).Pick(client(1), []lb.BackendID{1, 2}); ok {
			t.Errorf("%s: picked %d", p, id)
		}
	}
}

func TestPickCountsWhatItChose(t *testing.T) {
	for _, p := range allPolicies {
		var w words
		id, ok := mustNew(t, service(p, equals(3)), &w).Pick(client(1), nil)
		if n := w.members[id].inFlight.Load(); !ok || n != 1 {
			t.Errorf("%s: %d in flight, want 1", p, n)
		}
	}
}

func TestBackupsServeOnlyWhenAllOthersArePassedOver(t *testing.T) {
	backends := equals(4)
	backends[0].Backup, backends[3].Backup = true, true
	for _, c := range sharing {
		var w words
		s := service(c.policy, backends)
		wantShares(t, string(c.policy), picks(t, mustNew(t, s, &w), requests), c.within, 0, 1, 1, 0)
		w.members[2].ejectedUntil.Store(1e6 * second)
		got := picks(t, mustNew(t, s, &w), requests, 3)
		wantShares(t, string(c.policy)+" with 2 ejected and 3 tried", got, c.within, 1, 0, 0, 1)
		s.Backends = down(backends, 2, 3)
		wantShares(t, string(c.policy)+" with 2 and 3 down", picks(t, mustNew(t, s, &w), requests), c.within, 1, 0, 0, 1)
	}
}

func TestFirstFillsOneBackendAfterTheOther(t *testing.T) {
	backends := equals(3)
	backends[0].MaxConn, backends[1].MaxConn = 2, 1
	p := mustNew(t, service(lb.First, backends), new(words))
	for i, want := range []lb.BackendID{1, 1, 2, 3, 3, 3} {
		if id, _ := p.Pick(client(i), nil); id != want {
			t.Errorf("request %d went to %d, want %d", i, id, want)
		}
	}
}

func TestNewRefusesWhatItCannotDo(t *testing.T) {
	blind := State{}
	limited := equals(2)
	limited[1].MaxConn = 1
	nameless := equals(2)
	nameless[1].ID = 0
	for name, s := range map[string]lb.Service{
		"lc": service(lb.LeastConn, equals(2)), "wlc": service(lb.WeightedLeastConn, equals(2)),
		"p2c": service(lb.PowerOfTwo, equals(2)), "ewma": service(lb.PeakEWMA, equals(2)),
		"bound": service(lb.KeyHash, equals(2), bounded(150)), "limit": service(lb.RoundRobin, limited),
		"unknown": service("wrong", equals(2)), "nameless": service(lb.Random, nameless),
	} {
		if _, err := New(s, blind); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := New(service(lb.KeyHash, equals(2), bounded(99)), new(words).state()); err == nil {
		t.Error("a bound below 100 % was accepted")
	}
	if _, err := New(service(lb.WeightedRoundRobin, equals(2)), blind); err != nil {
		t.Error(err)
	}
}

func TestTakeKeepsAClientOnItsBackendUnlessThatTakesNothing(t *testing.T) {
	backends := members(1, 1, 1, 1, 0, 1)
	backends[1].Health = lb.Down
	backends[2].Admin = lb.Disabled
	backends[3].Admin = lb.Draining
	backends[5].MaxConn = 1
	var w words
	p := mustNew(t, service(lb.RoundRobin, backends), &w)
	for id, want := range map[lb.BackendID]bool{0: false, 1: true, 2: false, 3: false, 4: true, 5: true, 6: true, 7: false} {
		if p.Take(id, second) != want {
			t.Errorf("took %d: %t, want %t", id, !want, want)
		}
	}
	if p.Take(6, second) {
		t.Error("took one more than MaxConn")
	}
	w.members[1].ejectedUntil.Store(2 * second)
	if p.Take(1, second) || !p.Take(1, 2*second) {
		t.Error("an ejection counts at another time than its own")
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	for _, p := range allPolicies {
		var w words
		picker := mustNew(t, service(p, members(1, 2, 3, 4), bounded(125), slowStart(100*time.Second)), &w)
		w.members[1].ejectedUntil.Store(1e6 * second)
		w.members[2].upSince.Store(999 * second)
		key, tried := client(1), []lb.BackendID{3}
		if n := testing.AllocsPerRun(100, func() { picker.Pick(key, tried); picker.Take(4, key.Now) }); n != 0 {
			t.Errorf("%s: %v allocations", p, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, p := range allPolicies {
		for _, n := range []int{2, 16, 256} {
			b.Run(string(p)+"/"+strconv.Itoa(n), func(b *testing.B) {
				var w words
				picker := mustNew(b, service(p, equals(n)), &w)
				k := client(1)
				for b.Loop() {
					k.Random, k.Hash = mix(k.Random+golden), mix(k.Hash+golden)
					id, _ := picker.Pick(k, nil)
					w.members[id].inFlight.Add(-1)
				}
			})
		}
	}
}

// Three of four backends are ejected, then all.
func BenchmarkPickAround(b *testing.B) {
	for _, p := range allPolicies {
		for name, stay := range map[string]int{"quarter": 4, "none": 1000} {
			b.Run(string(p)+"/"+name, func(b *testing.B) {
				var w words
				for id := range w.members {
					if id%stay != 1 {
						w.members[id].ejectedUntil.Store(1e6 * second)
					}
				}
				w.members[1].ejectedUntil.Store(1e6 * second)
				picker := mustNew(b, service(p, equals(256)), &w)
				k := client(1)
				for b.Loop() {
					k.Random, k.Hash = mix(k.Random+golden), mix(k.Hash+golden)
					id, _ := picker.Pick(k, nil)
					w.members[id].inFlight.Add(-1)
				}
			})
		}
	}
}

func BenchmarkPickByAllCPUs(b *testing.B) {
	for _, p := range allPolicies {
		b.Run(string(p), func(b *testing.B) {
			var w words
			picker := mustNew(b, service(p, equals(16)), &w)
			b.RunParallel(func(pb *testing.PB) {
				k := client(1)
				for pb.Next() {
					k.Random, k.Hash = mix(k.Random+golden), mix(k.Hash+golden)
					id, _ := picker.Pick(k, nil)
					w.members[id].inFlight.Add(-1)
				}
			})
		})
	}
}
