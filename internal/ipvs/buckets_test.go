package ipvs

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Table and LevelsAfter say what the schedulers have once the same members were
// added one after another.
func TestTablesAreThoseOfTheSchedulers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		weights := make([]uint32, random.IntN(9))
		for i := range weights {
			weights[i] = []uint32{0, 1, 2, 7, 300, math.MaxInt32}[random.IntN(6)]
		}
		members := make([]Member, len(weights))
		for i, w := range weights {
			members[i] = Member{Addr: addr(i + 1), Weight: w, PastWeight: w}
		}
		schedulers := map[string]func(*Scheduler) []*backend{
			"dh": func(s *Scheduler) []*backend { return s.policy.(*dh).buckets[:] },
			"sh": func(s *Scheduler) []*backend { return s.policy.(*sh).buckets[:] },
			"mh": func(s *Scheduler) []*backend { return s.policy.(*mh).table },
		}
		for name, buckets := range schedulers {
			got, err := Table(name, members)
			must(t, err)
			for i, d := range buckets(service(t, name, Options{}, weights...)) {
				switch {
				case d == nil && got != nil, d != nil && got == nil:
					t.Fatalf("%s of weights %v: bucket %d: %v, want %v", name, weights, i, got, d)
				case d != nil && members[got[i]].Addr != d.addr:
					t.Fatalf("%s of weights %v: bucket %d has %s, want %s", name, weights, i, members[got[i]].Addr, d.addr)
				}
			}
		}
		level := uint32(0)
		for i := len(members) - 1; i >= 0; i-- {
			level = LevelsAfter(level, members[i:]).Now
		}
		if w := service(t, "wrr", Options{}, weights...).policy.(*wrr); level != uint32(w.level) {
			t.Fatalf("wrr of weights %v is on level %d, want %d", weights, level, w.level)
		}
	}
}

func TestTableRefusesWhatTheKernelDoes(t *testing.T) {
	if _, err := Table("mh", make([]Member, MaxMembers+1)); err == nil {
		t.Error("mh takes more members than its table has slots")
	}
	if _, err := Table("rr", nil); err == nil {
		t.Error("rr has no table")
	}
}
