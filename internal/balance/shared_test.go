package balance

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"lbctl/internal/lb"
)

// together runs work in goroutines that begin at once.
func together(n int, work func(worker int)) {
	var done sync.WaitGroup
	var here atomic.Int64
	for i := range n {
		done.Go(func() {
			here.Add(1)
			for here.Load() < int64(n) { // a channel would wake one after the other
				runtime.Gosched()
			}
			work(i)
		})
	}
	done.Wait()
}

func TestTurnsAreExactOverPickersThatShareThem(t *testing.T) {
	for _, c := range []struct {
		policy  lb.Policy
		ejected lb.BackendID
		want    []int64
	}{
		{lb.RoundRobin, 0, []int64{7000, 7000, 7000}},
		{lb.RoundRobin, 2, []int64{10500, 0, 10500}},
		{lb.WeightedRoundRobin, 0, []int64{10500, 6300, 4200}},
		{lb.WeightedRoundRobin, 2, []int64{15000, 0, 6000}},
	} {
		var w words
		w.members[c.ejected].ejectedUntil.Store(1e6 * second)
		together(7, func(worker int) {
			p := mustNew(t, service(c.policy, members(5, 3, 2)), &w)
			for i := range 3000 {
				p.Pick(client(i), nil)
			}
		})
		for i, want := range c.want {
			if n := w.members[i+1].inFlight.Load(); n != want {
				t.Errorf("%s, %d ejected: backend %d was picked %d times, want %d", c.policy, c.ejected, i+1, n, want)
			}
		}
	}
}

func TestLeastConnIsExactOverPickersThatShareTheLoad(t *testing.T) {
	for p, want := range map[lb.Policy][]int64{
		lb.LeastConn: {4000, 4000, 4000}, lb.WeightedLeastConn: {6000, 4000, 2000},
	} {
		var w words
		together(6, func(int) {
			p := mustNew(t, service(p, members(3, 2, 1)), &w)
			for i := range 2000 { // nothing ever finishes
				p.Pick(client(i), nil)
			}
		})
		for i, want := range want {
			if n := w.members[i+1].inFlight.Load(); n != want {
				t.Errorf("%s: backend %d has %d in flight, want %d", p, i+1, n, want)
			}
		}
	}
}

// Who does not look again before a place is taken goes where the other went.
func TestTwoRequestsAtOnceGoToTwoIdleBackends(t *testing.T) {
	for _, policy := range []lb.Policy{lb.LeastConn, lb.WeightedLeastConn, lb.PowerOfTwo} {
		for round := range 2000 {
			var w words
			p := mustNew(t, service(policy, equals(2)), &w)
			together(2, func(worker int) { p.Pick(client(2*round+worker), nil) })
			if n := w.members[1].inFlight.Load(); n != 1 {
				t.Fatalf("%s: %d of 2 requests went to the first", policy, n)
			}
		}
	}
}

func TestTheLastPlaceIsTakenOnce(t *testing.T) {
	backends := equals(1)
	backends[0].MaxConn = 1
	for _, policy := range allPolicies {
		var w words
		p := mustNew(t, service(policy, backends), &w)
		for range 1000 {
			w.set(0)
			together(2, func(worker int) { p.Pick(client(worker), nil) })
			if n := w.members[1].inFlight.Load(); n != 1 {
				t.Fatalf("%s: taken %d times", policy, n)
			}
		}
	}
}

func TestMaxConnIsNeverExceeded(t *testing.T) {
	backends := equals(4)
	for i := range backends {
		backends[i].MaxConn = uint32(10 * (i + 1))
	}
	for _, policy := range allPolicies {
		var w words
		var refused atomic.Int64
		together(4, func(worker int) {
			p := mustNew(t, service(policy, backends), &w)
			for i := range 40 {
				if _, ok := p.Pick(client(1000*worker+i), nil); !ok {
					refused.Add(1)
				}
			}
		})
		for id := 1; id <= 4; id++ {
			if n := w.members[id].inFlight.Load(); n != int64(10*id) {
				t.Errorf("%s: backend %d has %d in flight, want all of %d", policy, id, n, 10*id)
			}
		}
		if n := refused.Load(); n != 60 {
			t.Errorf("%s: %d of 160 refused, want 60", policy, n)
		}
	}
}

func TestRequestsThatComeAndGoLeaveNothingBehind(t *testing.T) {
	backends := equals(3)
	for i := range backends {
		backends[i].MaxConn = 2
	}
	for _, policy := range allPolicies {
		var w words
		together(8, func(worker int) {
			p := mustNew(t, service(policy, backends), &w)
			for i := range 500 {
				id, ok := p.Pick(client(1000*worker+i), nil)
				if !ok {
					continue
				}
				if n := w.members[id].inFlight.Load(); n < 1 || n > 2 {
					t.Errorf("%s: backend %d has %d in flight, want 1 or 2", policy, id, n)
				}
				w.members[id].inFlight.Add(-1)
			}
		})
		for id := 1; id <= 3; id++ {
			if n := w.members[id].inFlight.Load(); n != 0 {
				t.Errorf("%s: backend %d has %d in flight at the end", policy, id, n)
			}
		}
	}
}
