package balance

import (
	"testing"

	"lbctl/internal/lb"
)

const keys = 20000

// homes returns where each of so many keys goes while nothing is in flight.
func homes(t *testing.T, s lb.Service, w *words, tried ...lb.BackendID) []lb.BackendID {
	t.Helper()
	p := mustNew(t, s, w)
	out := make([]lb.BackendID, keys)
	for i := range out {
		out[i] = pick(t, p, client(i), tried...)
	}
	return out
}

func TestOnlyKeysOfABackendThatIsPassedOverMove(t *testing.T) {
	for _, p := range []lb.Policy{lb.SourceHash, lb.Maglev, lb.KeyHash} {
		var w words
		backends := members(3, 2, 2, 1)
		backends[1].MaxConn = 10
		s := service(p, backends)
		before := homes(t, s, &w)
		w.members[1].ejectedUntil.Store(1e6 * second)
		w.set(0, 10)
		after := homes(t, s, &w)
		for i := range before {
			if stays := before[i] > 2; stays && after[i] != before[i] || after[i] <= 2 {
				t.Fatalf("%s: key %d of backend %d went to %d", p, i, before[i], after[i])
			}
		}
		for i, id := range homes(t, s, &w) {
			if id != after[i] {
				t.Fatalf("%s: key %d went to %d, then to %d", p, i, after[i], id)
			}
		}
	}
}

func TestKeyHashMovesLessThanTwoPercentOfOtherKeys(t *testing.T) {
	for _, p := range []lb.Policy{lb.Maglev, lb.KeyHash} {
		backends := members(1, 2, 3, 4, 5)
		before := homes(t, service(p, backends), new(words))
		changed, others := moved(before, homes(t, service(p, without(backends, 3)), new(words)), 3)
		t.Logf("%s: %d of %d other keys moved", p, changed, others)
		if 50*changed >= others {
			t.Errorf("%s: %d of %d other keys moved", p, changed, others)
		}
	}
}

func TestKeyHashLooksAtItsKeyOnly(t *testing.T) {
	p := mustNew(t, service(lb.KeyHash, equals(9)), new(words))
	for i := range 100 {
		k := client(i)
		k.Hash = HashBytes("the same")
		if pick(t, p, k) != pick(t, p, Key{Hash: HashBytes([]byte("the same"))}) {
			t.Fatal("the client matters")
		}
	}
	// Pinned: a change moves every key.
	if got := HashBytes("lbctl"); got != 0xe6f865ebd765d4f2 {
		t.Errorf("hash is %#x", got)
	}
}

// full is ⌈percent × requests × share⌉.
func full(percent, requests, weight, sum int64) int64 {
	return (percent*requests*weight + 100*sum - 1) / (100 * sum)
}

func TestBoundHoldsForEveryRequestAlsoOfOneHotKey(t *testing.T) {
	for _, percent := range []int64{100, 125, 200, 1000} {
		for _, hot := range []bool{true, false} {
			var w words
			p := mustNew(t, service(lb.KeyHash, members(1, 2, 3, 4), bounded(uint32(percent))), &w)
			for m := range int64(2000) { // nothing ever finishes
				k := client(int(m))
				if hot {
					k = client(1)
				}
				w.active.Add(1)
				id, ok := p.Pick(k, nil)
				n, most := w.members[id].inFlight.Load(), full(percent, m+1, int64(id), 10)
				if !ok || n > most {
					t.Fatalf("%d %%, request %d: backend %d has %d in flight, want at most %d", percent, m+1, id, n, most)
				}
			}
		}
	}
}

func TestBoundIsExactOverPickersThatShareTheLoad(t *testing.T) {
	var w words
	together(4, func(int) {
		p := mustNew(t, service(lb.KeyHash, equals(5), bounded(125)), &w)
		for range 1000 {
			w.active.Add(1)
			p.Pick(client(1), nil)
		}
	})
	for id := 1; id <= 5; id++ {
		if n := w.members[id].inFlight.Load(); n > 1000 {
			t.Errorf("backend %d has %d of 4000 in flight, want at most 1.25 × 800", id, n)
		}
	}
}

func TestBoundMovesOnlyKeysOfFullBackends(t *testing.T) {
	var w words
	w.active.Store(100)
	s := service(lb.KeyHash, equals(5), bounded(125))
	home := homes(t, s, &w)
	w.set(25, 24) // 1 is full
	movers := map[lb.BackendID]int{}
	for i, id := range homes(t, s, &w) {
		switch {
		case home[i] != 1 && id != home[i] || id == 1:
			t.Fatalf("key %d of backend %d went to %d", i, home[i], id)
		case home[i] == 1:
			movers[id]++
		}
	}
	for id := lb.BackendID(2); id <= 5; id++ { // no neighbour takes them all
		if n := movers[id]; n < keys/20-keys/100 || n > keys/20+keys/100 {
			t.Errorf("backend %d takes %d keys of the full one, want %d ± %d", id, n, keys/20, keys/100)
		}
	}
	t.Logf("the keys of the full backend go to %v", movers)
}

func TestBoundYieldsIfOnlyClosedBackendsHaveRoom(t *testing.T) {
	var w words
	w.active.Store(100)
	w.set(30, 30, 0)
	p := mustNew(t, service(lb.KeyHash, equals(3), bounded(100)), &w)
	w.set(40, 40, 0)
	home := homes(t, service(lb.KeyHash, equals(3)), &w, 3)
	for i := range 100 {
		if id := pick(t, p, client(i), 3); id != home[i] {
			t.Errorf("key %d went to %d, want %d as without a bound", i, id, home[i])
		}
	}
}

func TestBoundsOfAnySizeFit(t *testing.T) {
	places := []place{{weight: 1<<32 - 1}, {weight: 1}}
	b := newBound(1<<32-1, places)
	if n := b.of(0, 1<<62); n <= 0 {
		t.Errorf("huge: %d", n)
	}
	if n := b.of(1, -5); n < 1 {
		t.Errorf("tiny: %d, want at least 1", n)
	}
}
