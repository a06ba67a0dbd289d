package balance

import (
	"fmt"
	"math"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"lbctl/internal/lb"
)

const hugeWeight = 1<<31 - 1

var tablePolicies = []lb.Policy{lb.RoundRobin, lb.WeightedRoundRobin, lb.SourceHash, lb.Maglev, lb.KeyHash}

var allPolicies = append([]lb.Policy{
	lb.LeastConn, lb.WeightedLeastConn, lb.PowerOfTwo, lb.PeakEWMA, lb.Random, lb.First,
}, tablePolicies...)

// words are the State of a service, by which a test sees and does what else
// clients, the proxy and other processes would.
type words struct {
	turn     atomic.Uint64
	active   atomic.Int64
	ejecting atomic.Uint64
	members  [300]Words // by ID
}

func (w *words) state() State {
	return State{
		Turn: &w.turn, Active: &w.active, Ejecting: &w.ejecting,
		Member: func(id lb.BackendID) Member { return w.members[id].Member() },
	}
}

// set says what each backend has in flight, from ID 1 on.
func (w *words) set(inFlight ...int64) *words {
	for i, n := range inFlight {
		w.members[i+1].inFlight.Store(n)
	}
	return w
}

// service is one of the policy, with the changes made.
func service(p lb.Policy, backends []lb.Backend, changes ...func(*lb.Service)) lb.Service {
	s := lb.Service{Name: "web", Plane: lb.L7, Policy: p, Backends: backends}
	for _, change := range changes {
		change(&s)
	}
	return s
}

func bounded(percent uint32) func(*lb.Service) {
	return func(s *lb.Service) { s.HTTP.Hash.Bound = percent }
}

func slowStart(d time.Duration) func(*lb.Service) {
	return func(s *lb.Service) { s.HTTP.SlowStart = d }
}

// members returns healthy backends 1, 2, 3 … of the given weights.
func members(weights ...uint32) []lb.Backend {
	out := make([]lb.Backend, len(weights))
	for i, w := range weights {
		out[i] = lb.Backend{
			ID: lb.BackendID(i + 1), Name: fmt.Sprintf("s%d", i+1), Weight: w, Health: lb.Up,
			Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(4 + i/254), byte(i%254 + 1)}), 80),
		}
	}
	return out
}

// equals returns n healthy backends of weight 1.
func equals(n int) []lb.Backend {
	weights := make([]uint32, n)
	for i := range weights {
		weights[i] = 1
	}
	return members(weights...)
}

func down(backends []lb.Backend, ids ...lb.BackendID) []lb.Backend {
	out := append([]lb.Backend(nil), backends...)
	for _, id := range ids {
		out[id-1].Health = lb.Down
	}
	return out
}

func without(backends []lb.Backend, id lb.BackendID) []lb.Backend {
	out := append([]lb.Backend(nil), backends[:id-1]...)
	return append(out, backends[id:]...)
}

func mustTable(t testing.TB, p lb.Policy, backends []lb.Backend, size int) []lb.BackendID {
	t.Helper()
	table, err := Table(p, backends, size)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func mustNew(t testing.TB, s lb.Service, w *words) *Picker {
	t.Helper()
	picker, err := New(s, w.state())
	if err != nil {
		t.Fatal(err)
	}
	return picker
}

func count(table []lb.BackendID) map[lb.BackendID]int {
	n := map[lb.BackendID]int{}
	for _, id := range table {
		n[id]++
	}
	return n
}

// picks counts n choices, each with another client, that end at once.
func picks(t testing.TB, p *Picker, n int, tried ...lb.BackendID) map[lb.BackendID]int {
	t.Helper()
	got := map[lb.BackendID]int{}
	for i := range n {
		got[pick(t, p, client(i), tried...)]++
	}
	return got
}

// pick makes one choice for a request that ends at once.
func pick(t testing.TB, p *Picker, k Key, tried ...lb.BackendID) lb.BackendID {
	t.Helper()
	id, ok := p.Pick(k, tried)
	if !ok {
		t.Fatalf("pick for %v: none", k)
	}
	p.places[id].InFlight.Add(-1)
	return id
}

const second = int64(time.Second)

// client is the i-th request: its hashes are well spread, and the same each time.
func client(i int) Key {
	return Key{
		Src:     netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}),
		SrcPort: uint16(1024 + i*7%60000),
		Hash:    mix(uint64(i) ^ 1<<40),
		Now:     1000 * second,
		Random:  mix(uint64(i) ^ 1<<50),
	}
}

// wantShares holds counts to what the weights say, each to within the share
// given. Weight 0 must have none.
func wantShares(t testing.TB, name string, got map[lb.BackendID]int, within float64, weights ...float64) {
	t.Helper()
	n, sum := 0, 0.0
	for i, w := range weights {
		n += got[lb.BackendID(i+1)]
		sum += w
	}
	for i, w := range weights {
		share := float64(got[lb.BackendID(i+1)]) / float64(n)
		if want := w / sum; math.Abs(share-want) > within || w == 0 && share != 0 {
			t.Errorf("%s: backend %d has a share of %.4f, want %.4f ± %.4f", name, i+1, share, want, within)
		}
	}
}

// moved returns how many keys that were not on gone changed their backend, and
// how many there were.
func moved(before, after []lb.BackendID, gone lb.BackendID) (changed, others int) {
	for i, id := range before {
		if id == gone {
			continue
		}
		others++
		if after[i] != id {
			changed++
		}
	}
	return changed, others
}
