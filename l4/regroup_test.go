package l4

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"

	"lbctl/internal/lb"
)

// A service is known by its name: whatever clients address may come, go and
// move to another service in one Apply, and flows, turns and counters stay.
func TestServiceKeepsItsNameNotItsAddress(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			r := newRig(t)
			one, two := k.service(1, k.match("198.18.3.1", 32, 80, 80)), k.service(2, k.match("198.18.3.2", 32, 80, 80))
			first := netip.AddrPortFrom(k.of(netip.MustParseAddr("198.18.3.1")), 80)
			second := netip.AddrPortFrom(k.of(netip.MustParseAddr("198.18.3.2")), 80)
			r.apply(snapshotOf(one, two))
			if got := r.backendOf(k.from(1, "SYN").to(first).bytes()); got != 1 {
				t.Fatalf("the first connection went to backend %d, want 1", got)
			}
			steps := []struct {
				name     string
				one, two []lb.Match
				want     [2]lb.BackendID // of new connections to the first and the second address
			}{
				{"swapped", two.L4.Also, one.L4.Also, [2]lb.BackendID{2, 1}},
				{"both to one", append(one.L4.Also, two.L4.Also...), []lb.Match{k.match("198.18.3.3", 32, 80, 80)}, [2]lb.BackendID{1, 1}},
				{"a prefix behind an exception", []lb.Match{k.match("198.18.3.0", 24, 80, 80)}, []lb.Match{k.match("198.18.3.2", 32, 80, 80)}, [2]lb.BackendID{1, 2}},
				{"any port", []lb.Match{k.match("198.18.3.2", 32, 0, 0)}, []lb.Match{k.match("198.18.3.0", 24, 0, 0)}, [2]lb.BackendID{2, 1}},
				{"as before", one.L4.Also, two.L4.Also, [2]lb.BackendID{1, 2}},
			}
			for i, step := range steps {
				one.L4.Also, two.L4.Also = step.one, step.two
				r.apply(snapshotOf(two, one))
				if got := r.backendOf(k.from(1, "ACK").to(first).bytes()); got != 1 {
					t.Errorf("%s: the flow moved to backend %d", step.name, got)
				}
				got := r.burst([][]byte{k.from(10+i, "SYN").to(first).bytes(), k.from(30+i, "SYN").to(second).bytes()})
				if want := []int{int(step.want[0]), int(step.want[1])}; got[0] != want[0] || got[1] != want[1] {
					t.Errorf("%s: new connections went to %v, want %v", step.name, got, want)
				}
			}
			sum := r.service(one.Name).Counters.Connections + r.service(two.Name).Counters.Connections
			if want := uint64(1 + 2*len(steps)); sum != want {
				t.Errorf("%d connections are counted, want %d", sum, want)
			}
		})
	}
}

// A daemon that comes back finds groups, ranges and prefixes, forwards on
// before it has applied anything, and goes on from there.
func TestReopenedPlaneKnowsGroupsAndPrefixes(t *testing.T) {
	r := newRig(t)
	k := kind{proto: lb.TCP}
	group := k.service(1, k.match("198.18.3.1", 32, 80, 80), k.match("198.18.3.2", 32, 8000, 8099), k.match("198.18.100.0", 24, 80, 80))
	group.Backends = append(group.Backends, with(backend(2), func(b *lb.Backend) { b.Addr = netip.AddrPortFrom(b.Addr.Addr(), 0) }))
	s := snapshotOf(group)
	r.apply(s)
	targets := []netip.AddrPort{netip.MustParseAddrPort("198.18.3.1:80"), netip.MustParseAddrPort("198.18.3.2:8050"), netip.MustParseAddrPort("198.18.100.1:80")}
	port := 0
	turns := func(when string) {
		t.Helper()
		for _, to := range targets {
			port++
			want := lb.BackendID(2 - (port-1)%2) // the newest first
			if got := r.backendOf(k.from(port, "SYN").to(to).bytes()); got != want {
				t.Errorf("%s: %s went to backend %d, want %d: one round goes over all addresses", when, to, got, want)
			}
		}
	}
	turns("before")
	r.reopen()
	turns("reopened")
	if n := len(r.state.services); n != 1 || r.state.services[0].name != group.Name {
		t.Errorf("%d services were found, want one named %s", n, group.Name)
	}
	r.apply(s)
	turns("applied again")
	if c := r.service(group.Name).Counters.Connections; c != 9 {
		t.Errorf("%d connections are counted, want 9", c)
	}
	r.reopen()
	r.apply(snapshotOf(k.service(3, k.match("198.18.100.0", 25, 80, 80))))
	for to, want := range map[string]int{"198.18.100.1:80": 3, "198.18.100.129:80": 0, "198.18.3.2:8050": 0, "198.18.3.1:80": 0} {
		if got := r.burst([][]byte{k.from(99, "SYN").to(netip.MustParseAddrPort(to)).bytes()}); got[0] != want {
			t.Errorf("%s went to backend %d, want %d", to, got[0], want)
		}
	}
}

// Whatever else changes with a Snapshot, a packet to what all Snapshots have a
// service for is forwarded, at every instant.
func TestNoPacketMeetsHalfOfNewRules(t *testing.T) {
	for _, k := range []kind{{false, lb.TCP}, {true, lb.TCP}} {
		t.Run(k.String(), func(t *testing.T) {
			r := newRig(t)
			to := netip.AddrPortFrom(k.of(netip.MustParseAddr("198.18.100.5")), 80)
			c := chance{rand.New(rand.NewPCG(7, 7))}
			covers := []lb.Match{
				k.match("198.18.100.5", 32, 80, 80), k.match("198.18.100.5", 32, 0, 0), k.match("198.18.100.5", 32, 70, 90),
				k.match("198.18.100.4", 31, 80, 80), k.match("198.18.100.0", 24, 1, 100), k.match("198.18.0.0", 16, 0, 0),
				{Prefix: netip.PrefixFrom(to.Addr(), 0).Masked(), First: 80, Last: 80, Proto: lb.TCP},
			}
			draw := func() lb.Snapshot {
				cover := rule{covers[c.IntN(len(covers))], string(rune('a' + c.IntN(20)))}
				rules := []rule{cover}
				for _, o := range c.rules(6, k.six) {
					if !o.Clashes(cover.Match) {
						rules = append(rules, o)
					}
				}
				return snapshotOf(servicesOf(rules)...)
			}
			r.apply(draw())
			ctx, stop := context.WithCancel(t.Context())
			var sent atomic.Uint64
			done := make(chan error, 1)
			go func() { done <- r.bombard(ctx, k.from(5000, "RST").to(to).bytes(), &sent) }()
			for range 30 {
				before := sent.Load()
				r.apply(draw())
				for sent.Load() < before+100 && len(done) == 0 {
					runtime.Gosched()
				}
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// bombard sends a packet that leaves no trace again and again, and returns an
// error as soon as it is not forwarded.
func (r *rig) bombard(ctx context.Context, packet []byte, sent *atomic.Uint64) error {
	return r.ns.Do(func() error {
		for ctx.Err() == nil {
			got, err := r.run(packet)
			if err == nil && got.action != xdpTx {
				err = fmt.Errorf("after %d packets one was not forwarded: action %d", sent.Load(), got.action)
			}
			if err != nil {
				return err
			}
			sent.Add(1)
		}
		return nil
	})
}
