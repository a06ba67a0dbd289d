package balance

import (
	"fmt"
	"net/netip"
	"testing"

	"lbctl/internal/lb"
)

const hugeWeight = 1<<31 - 1

var tablePolicies = []lb.Policy{lb.RoundRobin, lb.WeightedRoundRobin, lb.SourceHash, lb.Maglev}

var allPolicies = append([]lb.Policy{lb.LeastConn, lb.WeightedLeastConn}, tablePolicies...)

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

func mustNew(t testing.TB, p lb.Policy, backends []lb.Backend, load Load) Picker {
	t.Helper()
	picker, err := New(p, backends, load)
	if err != nil {
		t.Fatal(err)
	}
	return picker
}

func idle(lb.BackendID) uint64 { return 0 }

func count(table []lb.BackendID) map[lb.BackendID]int {
	n := map[lb.BackendID]int{}
	for _, id := range table {
		n[id]++
	}
	return n
}

// picks counts n choices, each with another client.
func picks(t testing.TB, p Picker, n int) map[lb.BackendID]int {
	t.Helper()
	got := map[lb.BackendID]int{}
	for i := range n {
		id, ok := p.Pick(client(i))
		if !ok {
			t.Fatalf("pick %d: none", i)
		}
		got[id]++
	}
	return got
}

func client(i int) Key {
	return Key{
		Src:     netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}),
		SrcPort: uint16(1024 + i*7%60000),
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
