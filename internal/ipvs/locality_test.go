package ipvs

import (
	"testing"
	"time"
)

func TestLocalityKeepsADestinationWithItsBackend(t *testing.T) {
	for _, name := range []string{"lblc", "lblcr"} {
		t.Run(name, func(t *testing.T) {
			s := service(t, name, Options{}, 2, 2)
			goes(t, s, to(1), 0, 1)
			flows(t, s, 1, 2, true)
			goes(t, s, to(2), 0, 2) // wlc's choice now
			goes(t, s, to(1), 0, 1) // but this one has been there
			flows(t, s, 1, 1, true) // more active flows than weight, and backend 2 idle
			goes(t, s, to(1), 0, 2)
			flows(t, s, 2, 1, true) // not fewer than half of its weight: nobody is asked to help
			flows(t, s, 2, 9, true)
			goes(t, s, to(2), 0, 2)
			must(t, s.Edit(Backend{Addr: addr(2), Weight: 0}))
			goes(t, s, to(2), 0, 1)
		})
	}
}

func TestLocalityForgetsABackendThatHasGone(t *testing.T) {
	for _, name := range []string{"lblc", "lblcr"} {
		s := service(t, name, Options{}, 1, 1)
		goes(t, s, to(1), 0, 1)
		must(t, s.Delete(addr(1)))
		goes(t, s, to(1), 0, 2)
	}
}

// lblc looks at the overload mark only when it chooses anew; lblcr always.
func TestOverloadMarkOfARememberedBackend(t *testing.T) {
	for name, then := range map[string]int{"lblc": 1, "lblcr": 2} {
		s := service(t, name, Options{}, 9, 9)
		goes(t, s, to(1), 0, 1)
		must(t, s.Edit(Backend{Addr: addr(1), Weight: 9, Upper: 1}))
		flows(t, s, 1, 1, true)
		goes(t, s, to(1), 0, then)
		goes(t, s, to(2), 0, 2)
	}
}

func TestReplicatedSetGrowsAndShrinks(t *testing.T) {
	const life = time.Hour
	s := service(t, "lblcr", Options{Expiration: life}, 1, 1)
	set := func() int { return len(s.policy.(*lblcr).cache.get(to(1).Dst.Addr()).value.members) }
	goes(t, s, to(1), 0, 1)
	f := flows(t, s, 1, 2, true)
	goes(t, s, to(1), time.Minute, 2) // backend 1 is beyond, 2 joins
	if set() != 2 {
		t.Fatalf("set of %d, want 2", set())
	}
	for _, flow := range f[:1] {
		flow.Close()
	}
	goes(t, s, to(1), time.Minute+life, 2) // not longer than its life
	if set() != 2 {
		t.Fatalf("set of %d at its life's end, want 2", set())
	}
	goes(t, s, to(1), time.Minute+life+1, 2) // the more loaded one is dropped
	if set() != 1 {
		t.Fatalf("set of %d after its life, want 1", set())
	}
}

func TestCacheForgetsWhatWasNotUsed(t *testing.T) {
	s := service(t, "lblc", Options{Expiration: 10 * time.Minute}, 1, 1)
	cache := s.policy.(*lblc).cache
	goes(t, s, to(1), 0, 1)
	goes(t, s, to(2), 25*time.Minute, 1)
	if cache.entries != 2 {
		t.Fatalf("%d entries, want 2", cache.entries)
	}
	// The first full check is at the 30th tick of a minute.
	goes(t, s, to(2), 30*time.Minute-1, 1)
	if cache.entries != 2 {
		t.Errorf("%d entries before the full check, want 2", cache.entries)
	}
	goes(t, s, to(2), 30*time.Minute, 1)
	if cache.entries != 1 || cache.get(to(1).Dst.Addr()) != nil {
		t.Errorf("%d entries after the full check, want 1", cache.entries)
	}
}

func TestCacheIsBounded(t *testing.T) {
	s := service(t, "lblc", Options{}, 1)
	cache := s.policy.(*lblc).cache
	for i := range 30000 {
		goes(t, s, to(i), 0, 1)
	}
	if cache.entries != 24<<10 {
		t.Fatalf("%d entries, want 24 Ki", cache.entries)
	}
	// Too young for six minutes; then 4/3 of the surplus go, and no more than the
	// bucket in which that is reached.
	goes(t, s, to(0), 6*time.Minute-1, 1)
	if cache.entries != 24<<10 {
		t.Errorf("%d entries before 6 minutes", cache.entries)
	}
	goes(t, s, to(0), 6*time.Minute, 1)
	if gone := 24<<10 - cache.entries; gone < 8<<10 || gone > 8<<10+100 {
		t.Errorf("%d entries went at the first search, want 8 Ki and the rest of a bucket", gone)
	}
}
