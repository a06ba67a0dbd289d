package balance

import (
	"sync/atomic"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// mustEject returns the Ejector of a service by usualOutlier.
func mustEject(t testing.TB, s lb.Service, w *words) *Ejector {
	t.Helper()
	s.HTTP.Outlier = usualOutlier
	e, err := NewEjector(s, w.state())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// wantEjected says how many of n backends are, and were told to be.
func wantEjected(t *testing.T, w *words, n, want int, told int64) {
	t.Helper()
	out := 0
	for id := 1; id <= n; id++ {
		if w.members[id].ejectedUntil.Load() > second {
			out++
		}
	}
	if out != want || told != int64(want) {
		t.Errorf("%d of %d are ejected, %d callers were told; want %d", out, n, told, want)
	}
}

func TestFiveFailuresEjectAndTimeBringsBack(t *testing.T) {
	var w words
	s := service(lb.RoundRobin, equals(3))
	e, p := mustEject(t, s, &w), mustNew(t, s, &w)
	now := 1000 * second
	for i := range 5 {
		if _, out := e.Report(2, true, now); out != (i == 4) {
			t.Fatalf("failure %d: ejected %t", i+1, out)
		}
	}
	if _, again := e.Report(2, true, now); again {
		t.Error("an answer from before the ejection ejects again")
	}
	wantShares(t, "2 out", picks(t, p, 300), 0, 1, 0, 1)
	k := client(1)
	k.Now = now + 10*second + quantum
	got := map[lb.BackendID]int{}
	for range 300 {
		got[pick(t, p, k)]++
	}
	wantShares(t, "2 back", got, 1e-9, 1, 1, 1)
	if until, out := e.Report(2, true, k.Now); out {
		t.Errorf("one failure ejects who is back until %d", until)
	}
	e.Report(2, true, k.Now)
	until, out := e.Report(2, true, k.Now)
	if spent := time.Duration(until - k.Now); !out || spent < 20*time.Second || spent > 21*time.Second {
		t.Errorf("three more failures: ejected %t for %v, want 20 s", out, spent)
	}
}

func TestOneOfSeveralWinsAnEjectionAndTheShareIsKept(t *testing.T) {
	for _, c := range []struct{ backends, want int }{{1, 0}, {2, 1}, {3, 1}, {7, 3}, {20, 10}} {
		for range 20 {
			var w words
			var told atomic.Int64
			together(4, func(worker int) {
				e := mustEject(t, service(lb.RoundRobin, equals(c.backends)), &w)
				for i := range 20 * c.backends {
					if _, out := e.Report(lb.BackendID((worker+i)%c.backends+1), true, second); out {
						told.Add(1)
					}
				}
			})
			wantEjected(t, &w, c.backends, c.want, told.Load())
		}
	}
}

func TestTwoAnswersAtOnceAreBothCountedAndEjectOne(t *testing.T) {
	for name, c := range map[string]struct {
		before int // failures of the first two
		second lb.BackendID
	}{
		"fourth and fifth of one":        {3, 1},
		"fifth and sixth of one":         {4, 1},
		"the fifths of two out of three": {4, 2},
	} {
		for range 2000 {
			var w words
			var told atomic.Int64
			e := mustEject(t, service(lb.RoundRobin, equals(3)), &w)
			for range c.before {
				e.Report(1, true, second)
				e.Report(2, true, second)
			}
			together(2, func(worker int) {
				id := []lb.BackendID{1, c.second}[worker]
				if _, out := e.Report(id, true, second); out {
					told.Add(1)
				}
			})
			wantEjected(t, &w, 3, 1, told.Load())
			if t.Failed() {
				t.Fatal(name)
			}
		}
	}
}

func TestBackupsAreCountedApart(t *testing.T) {
	var w words
	backends := equals(4)
	backends[2].Backup, backends[3].Backup = true, true
	e := mustEject(t, service(lb.RoundRobin, backends), &w)
	told := int64(0)
	for range 20 {
		for id := lb.BackendID(1); id <= 4; id++ {
			if _, out := e.Report(id, true, second); out {
				told++
			}
		}
	}
	wantEjected(t, &w, 4, 2, told)
	if w.members[3].ejectedUntil.Load() == 0 {
		t.Error("no backup is ejected")
	}
}

// A process may die after it has written an ejection into the service's word.
func TestAnEjectionThatWasBegunIsCompleted(t *testing.T) {
	var w words
	until := stepEjection(usualOutlier, 0, second)
	w.ejecting.Store(packEjection(1, until))
	e := mustEject(t, service(lb.RoundRobin, equals(3)), &w)
	for range 10 {
		if _, out := e.Report(2, true, second); out {
			t.Error("2 is ejected beside 1: two of three")
		}
	}
	if got := w.members[1].ejectedUntil.Load(); got != until {
		t.Errorf("1 is ejected until %d, want %d", got, until)
	}
}

func TestEjectorIgnoresStrangersAndRefusesHugeIDs(t *testing.T) {
	s := service(lb.RoundRobin, down(equals(3), 3))
	e := mustEject(t, s, new(words))
	for range 10 {
		if _, out := e.Report(3, true, second); out {
			t.Error("who is down is ejected")
		}
	}
	s.Backends[0].ID = mostID + 1
	if _, err := NewEjector(s, State{}); err == nil {
		t.Error("an ID of more than 24 bits was accepted")
	}
}
