package balance

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

func TestNoEligibleBackendMeansNone(t *testing.T) {
	draining := members(1, 1)
	draining[0].Admin, draining[1].Admin = lb.Draining, lb.Disabled
	unknown := members(1)
	unknown[0].Health = lb.Unknown
	for name, backends := range map[string][]lb.Backend{
		"none at all": nil, "all down": down(members(1, 2), 1, 2), "weight 0": members(0, 0),
		"draining and disabled": draining, "unknown": unknown,
	} {
		for _, p := range allPolicies {
			if id, ok := mustNew(t, service(p, backends), new(words)).Pick(client(1), nil); ok || id != 0 {
				t.Errorf("%s, %s: picked %d", p, name, id)
			}
		}
		for _, p := range tablePolicies {
			if table := mustTable(t, p, backends, 251); table != nil {
				t.Errorf("%s, %s: table of %d slots, want nil", p, name, len(table))
			}
		}
	}
}

func TestWeightZeroTakesNothingNew(t *testing.T) {
	for _, p := range allPolicies {
		got := picks(t, mustNew(t, service(p, members(1, 0, 1)), new(words)), 1000)
		if got[2] != 0 || got[1] == 0 || got[3] == 0 && p != lb.First {
			t.Errorf("%s: picks %v", p, got)
		}
	}
}

func TestSameInputGivesTheSameTable(t *testing.T) {
	for _, p := range tablePolicies {
		backends := down(members(3, 1, 7, 2), 2)
		if !slices.Equal(mustTable(t, p, backends, DefaultSize), mustTable(t, p, backends, DefaultSize)) {
			t.Errorf("%s: two tables differ", p)
		}
	}
}

func TestHugeWeightsAreQuickAndFit(t *testing.T) {
	for _, weights := range [][]uint32{
		{hugeWeight, hugeWeight}, {hugeWeight, 1}, {1, hugeWeight, hugeWeight - 1}, {1<<32 - 1, 1<<32 - 2, 3},
	} {
		for _, p := range tablePolicies {
			for _, backends := range [][]lb.Backend{members(weights...), down(members(weights...), 1)} {
				start := time.Now()
				table := mustTable(t, p, backends, DefaultSize)
				if spent := time.Since(start); spent > time.Second {
					t.Errorf("%s %v: %v", p, weights, spent)
				}
				if len(table) > DefaultSize {
					t.Errorf("%s %v: %d slots", p, weights, len(table))
				}
				for _, b := range eligible(backends) {
					if !slices.Contains(table, b.ID) {
						t.Errorf("%s %v: backend %d has no slot", p, weights, b.ID)
					}
				}
			}
		}
	}
	if n := len(mustTable(t, lb.WeightedRoundRobin, members(hugeWeight, hugeWeight), DefaultSize)); n != 2 {
		t.Errorf("wrr of two equal huge weights has %d slots, want 2", n)
	}
}

func TestTableRefusesWhatItCannotHold(t *testing.T) {
	nameless := members(1, 1)
	nameless[1].ID = 0
	for _, c := range []struct {
		policy   lb.Policy
		backends []lb.Backend
		size     int
		want     string
	}{
		{lb.Maglev, equals(2), 65536, "must be a prime"},
		{lb.Maglev, equals(2), 1, "must be a prime"},
		{lb.RoundRobin, equals(3), 2, "3 backends do not fit"},
		{lb.SourceHash, equals(3), 2, "3 backends do not fit"},
		{lb.WeightedRoundRobin, nil, 0, "do not fit"},
		{lb.LeastConn, equals(2), 251, "has no table"},
		{"wrong", equals(2), 251, "unknown policy"},
		{lb.Maglev, nameless, 251, `backend "s2" has no ID`},
	} {
		_, err := Table(c.policy, c.backends, c.size)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %d in %d: %v, want %q", c.policy, len(c.backends), c.size, err, c.want)
		}
	}
}

func TestHashSeesPortOnlyForMaglev(t *testing.T) {
	for _, addr := range []string{"198.18.1.1", "2001:2::1"} {
		a, b := Key{Src: netip.MustParseAddr(addr), SrcPort: 1000}, Key{Src: netip.MustParseAddr(addr), SrcPort: 1001}
		if Hash(lb.SourceHash, a) != Hash(lb.SourceHash, b) {
			t.Errorf("%s: sh depends on the port", addr)
		}
		if Hash(lb.Maglev, a) == Hash(lb.Maglev, b) {
			t.Errorf("%s: mh does not depend on the port", addr)
		}
	}
	mapped := Key{Src: netip.MustParseAddr("::ffff:198.18.1.1"), SrcPort: 80}
	plain := Key{Src: netip.MustParseAddr("198.18.1.1"), SrcPort: 80}
	if Hash(lb.Maglev, mapped) != Hash(lb.Maglev, plain) {
		t.Error("a mapped address hashes differently")
	}
	// Pinned: the XDP program computes the same, and a change moves every client.
	if got := Hash(lb.Maglev, plain); got != 0xaacd0b7d {
		t.Errorf("hash of %v is %#x, want %#x", plain, got, 0xaacd0b7d)
	}
}
