package balance

import (
	"net/netip"
	"testing"

	"lbctl/internal/lb"
)

func TestSourceHashKeepsAClientOnItsBackend(t *testing.T) {
	p := mustNew(t, service(lb.SourceHash, equals(7)), new(words))
	for i := range 100 {
		k := client(i)
		want := pick(t, p, k)
		k.SrcPort += 99
		if got := pick(t, p, k); got != want {
			t.Fatalf("client %v went to %d, then to %d", k.Src, want, got)
		}
	}
}

func TestSourceHashSharesFollowTheWeights(t *testing.T) {
	slots := count(mustTable(t, lb.SourceHash, members(1, 2, 3), 600))
	if slots[1] != 100 || slots[2] != 200 || slots[3] != 300 {
		t.Errorf("slots %v, want 100 200 300", slots)
	}
	slots = count(mustTable(t, lb.SourceHash, down(members(1, 2, 3), 2), 600))
	if slots[1] != 150 || slots[2] != 0 || slots[3] != 450 {
		t.Errorf("slots with 2 down %v, want 150 0 450", slots)
	}
}

func TestSourceHashMovesOnlyTheKeysOfABackendThatFails(t *testing.T) {
	backends := members(4, 1, 2, 9)
	before := mustTable(t, lb.SourceHash, backends, DefaultSize)
	for gone := lb.BackendID(1); gone <= 4; gone++ {
		after := mustTable(t, lb.SourceHash, down(backends, gone), DefaultSize)
		if changed, others := moved(before, after, gone); changed != 0 {
			t.Errorf("%d down: %d of %d other keys moved", gone, changed, others)
		}
	}
}

func TestNeighbouringAddressesSpread(t *testing.T) {
	for _, first := range []string{"198.18.1.1", "2001:2::1:1"} {
		p := mustNew(t, service(lb.SourceHash, equals(4)), new(words))
		got := map[lb.BackendID]int{}
		addr := netip.MustParseAddr(first)
		for range 4000 {
			got[pick(t, p, Key{Src: addr})]++
			addr = addr.Next()
		}
		for id, n := range got {
			if n < 900 || n > 1100 {
				t.Errorf("from %s: backend %d has %d of 4000 clients", first, id, n)
			}
		}
	}
}
