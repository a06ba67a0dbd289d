package l4

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"lbctl/internal/balance"
	"lbctl/internal/ipvs"
	"lbctl/internal/lb"
)

func TestRoundRobinTakesBackendsInOrder(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backend(1), with(backend(2), down), backend(3), with(backend(4), draining), backend(5)))
	var syns [][]byte
	for port := range 9 {
		syns = append(syns, syn(port+1))
	}
	want := []int{1, 3, 5, 1, 3, 5, 1, 3, 5}
	if got := r.burst(syns); !slices.Equal(got, want) {
		t.Errorf("backends were taken in the order %v, want %v", got, want)
	}
}

// A change of weights must not begin the round anew, and a SYN sent twice must
// not take two turns.
func TestRoundRobinGoesOnAfterAChange(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backends(2)...))
	if got := r.burst([][]byte{syn(1), syn(1), syn(1)}); !slices.Equal(got, []int{1, 1, 1}) {
		t.Errorf("a SYN and its retransmissions went to %v, want 1, 1, 1", got)
	}
	r.apply(snapshot(lb.RoundRobin, backend(1), with(backend(2), func(b *lb.Backend) { b.Weight = 5 })))
	if got := r.backendOf(syn(2)); got != 2 {
		t.Errorf("after the change backend %d has its turn, want 2", got)
	}
}

func TestWeightedRoundRobinSharesAreExact(t *testing.T) {
	r := newRig(t)
	weight := func(i int, w uint32) lb.Backend {
		return with(backend(i), func(b *lb.Backend) { b.Weight = w })
	}
	all := []lb.Backend{weight(1, 5), weight(2, 1), weight(3, 2), with(weight(4, 4), down)}
	r.apply(snapshot(lb.WeightedRoundRobin, all...))
	var syns [][]byte
	for port := range 800 {
		syns = append(syns, syn(port+1))
	}
	shares := map[int]int{}
	for _, b := range r.burst(syns) {
		shares[b]++
	}
	if shares[1] != 500 || shares[2] != 100 || shares[3] != 200 || len(shares) != 3 {
		t.Errorf("800 connections were shared %v, want 500, 100, 200 and none for the one that is down", shares)
	}
}

// keys are packets of n clients.
func (k kind) keys(n int) (packets [][]byte, keys []balance.Key) {
	for i := range n {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 0x0a000000+uint32(i)*2654435761>>8)
		key := balance.Key{Src: netip.AddrFrom4(a), SrcPort: uint16(1024 + i%60000)}
		if k.six { // clients differ in all words
			b := key.Src.As4()
			key.Src = netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 3: b[0], 6: b[1], 7: b[3], 9: b[2], 12: b[3], 15: b[1]})
		}
		keys = append(keys, key)
		packets = append(packets, k.from(int(key.SrcPort), "SYN").source(key.Src).bytes())
	}
	return packets, keys
}

// Through packets as through the rehearsal: each policy chooses as its model.
func TestHashPoliciesChooseAsTheModelsDo(t *testing.T) {
	for _, policy := range []lb.Policy{lb.DestinationHash, lb.SourceHash, lb.Maglev} {
		for _, k := range kinds {
			t.Run(string(policy)+" "+k.String(), func(t *testing.T) {
				r := newRig(t)
				s := k.snapshot(policy, append(backends(5), with(backend(6), draining))...)
				v := &s.Services[0]
				v.L4.Ports = policy == lb.Maglev
				r.apply(s)
				model, err := ipvs.New(string(policy), ipvs.Options{Port: v.L4.Ports})
				ok(t, err)
				for _, b := range v.Backends[1:] {
					ok(t, model.Add(toModel(b)))
				}
				packets, keys := k.keys(2000)
				for i, got := range r.burst(packets) {
					p := ipvs.Packet{Src: netip.AddrPortFrom(keys[i].Src, keys[i].SrcPort), Dst: v.VIP.Addr}
					if want, _ := model.Schedule(p, 0); want.Addr() != k.of(backendAddr(got)) {
						t.Fatalf("client %v went to backend %d, want %s", keys[i], got, want)
					}
				}
			})
		}
	}
}

// The choice without memory is the L7 plane's mh, whatever the service's policy.
func TestChoiceByHashIsThatOfBalance(t *testing.T) {
	h := rehearse(newRig(t))
	for _, n := range []int{1, 5, 41} {
		for _, k := range kinds[:2] {
			var all []lb.Backend
			for i := 1; i <= n; i++ {
				h.neighbours(i)
				all = append(all, with(backend(i), func(b *lb.Backend) { b.Weight = uint32(i % 4) }))
			}
			s := k.snapshot(lb.RoundRobin, append(all, with(backend(n+1), down))...)
			v := s.Services[0]
			h.apply(s)
			table, err := balance.Table(lb.Maglev, v.Backends, hashSize(n))
			ok(t, err)
			_, keys := k.keys(1000)
			for _, key := range keys {
				h.ask(v.VIP, netip.AddrPortFrom(key.Src, key.SrcPort), v.VIP.Addr, 0, 0)
				h.steps[len(h.steps)-1].ByHash = 1
			}
			for i, got := range h.run() {
				id := table[balance.Hash(lb.Maglev, keys[i])%uint32(len(table))]
				if want := h.state.services[0].find(id).slot; got != want {
					t.Fatalf("%d backends, %s: client %v went to slot %d, want %d", n, k, keys[i], got, want)
				}
			}
		}
	}
}

// Maglev, through the program: 10,000 keys over 4 backends of which one is
// removed. Its own keys move, of the others less than 2 %.
func TestMaglevMovesFewOtherKeys(t *testing.T) {
	const n = 10000
	r := newRig(t)
	packets, _ := kind{proto: lb.TCP}.keys(n)
	r.apply(snapshot(lb.Maglev, backends(4)...))
	before := r.burst(packets)
	r.lose(func(flowEntry) bool { return true })
	if left := len(r.flows()); left != 0 {
		t.Fatalf("the test means nothing: %d flows are remembered", left)
	}
	r.apply(snapshot(lb.Maglev, backend(1), backend(2), backend(4)))
	after := r.burst(packets)

	others, moved := 0, 0
	share := map[int]int{}
	for i := range before {
		share[before[i]]++
		if after[i] == 3 || after[i] == 0 {
			t.Fatalf("key %d went to backend %d after 3 was removed", i, after[i])
		}
		if before[i] != 3 {
			others++
			if after[i] != before[i] {
				moved++
			}
		}
	}
	t.Logf("%d of %d other keys moved (%.2f %%), shares %v", moved, others, 100*float64(moved)/float64(others), share)
	if moved*50 >= others {
		t.Errorf("%d of %d other keys moved, want less than 2 %%", moved, others)
	}
	for b := 1; b <= 4; b++ {
		if share[b] < n/4-n/50 || share[b] > n/4+n/50 {
			t.Errorf("backend %d has %d of %d keys", b, share[b], n)
		}
	}
}

// The program says who is overloaded; what Go writes must not take that back
// between the thresholds, but without thresholds nobody is.
func TestApplyKeepsTheOverloadMark(t *testing.T) {
	r := newRig(t)
	limits := func(upper, lower, weight uint32) lb.Backend {
		return with(backend(1), func(b *lb.Backend) { b.Upper, b.Lower, b.Weight = upper, lower, weight })
	}
	r.apply(snapshot(lb.RoundRobin, limits(3, 1, 1), backend(2)))
	for i := 1; i <= 6; i++ {
		r.burst([][]byte{syn(i)})
	}
	r.reopen()
	r.apply(snapshot(lb.RoundRobin, limits(10, 2, 3), backend(2)))
	if m := r.state.services[0].find(1); m.backend.Upper != 10 || m.backend.Lower != 2 {
		t.Errorf("thresholds %d and %d are in the slot, want 10 and 2", m.backend.Upper, m.backend.Lower)
	}
	if got := r.burst([][]byte{syn(7), syn(8)}); !slices.Equal(got, []int{2, 2}) {
		t.Errorf("connections went to %v, want 2 and 2: backend 1 is overloaded", got)
	}
	r.apply(snapshot(lb.RoundRobin, backend(1), backend(2)))
	if got := r.burst([][]byte{syn(9), syn(10)}); !slices.Contains(got, 1) {
		t.Errorf("connections went to %v, but backend 1 has no threshold any more", got)
	}
}
