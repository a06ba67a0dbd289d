package l4

import (
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	"lbctl/internal/ipvs"
	"lbctl/internal/lb"
)

func weighted(i int, weight uint32) lb.Backend {
	return with(backend(i), func(b *lb.Backend) { b.Weight = weight })
}

// Turns go on where they were after the daemon is restarted, though it applies
// the same Snapshot anew, and even if a backend goes in the same step.
func TestTurnsGoOnAfterARestart(t *testing.T) {
	for _, policy := range []lb.Policy{lb.RoundRobin, lb.WeightedRoundRobin} {
		t.Run(string(policy), func(t *testing.T) {
			r := newRig(t)
			all := []lb.Backend{weighted(1, 1), weighted(2, 2), weighted(3, 3), weighted(4, 4)}
			var got []int
			take := func(n int) {
				for range n {
					got = append(got, int(r.backendOf(syn(len(got)+1))))
				}
			}
			s := snapshot(policy, all...)
			r.apply(s)
			take(2)
			r.reopen()
			r.apply(s)
			take(3)
			r.reopen()
			r.apply(snapshot(policy, all[0], all[1], all[3]))
			take(3)
			if want := modelAfter(t, string(policy), all); !slices.Equal(got, want) {
				t.Errorf("backends were taken in the order %v, want %v", got, want)
			}
		})
	}
}

// modelAfter is what the scheduler's model does in TestTurnsGoOnAfterARestart.
func modelAfter(t *testing.T, scheduler string, list []lb.Backend) (want []int) {
	model, err := ipvs.New(scheduler, ipvs.Options{})
	ok(t, err)
	for _, b := range slices.Backward(list) {
		ok(t, model.Add(toModel(b)))
	}
	for i := range 8 {
		if i == 5 {
			ok(t, model.Delete(list[2].Addr))
		}
		a, _ := model.Schedule(ipvs.Packet{}, 0)
		want = append(want, int(a.Addr().As4()[3]))
	}
	return want
}

// No turn is taken twice and none is left out, however many CPUs take them.
func TestTurnsAreExactOverCPUs(t *testing.T) {
	rows := []struct {
		policy lb.Policy
		want   map[uint32]int // of 60000 choices, by weight
	}{
		{lb.RoundRobin, map[uint32]int{1: 20000, 2: 20000, 3: 20000}},
		{lb.WeightedRoundRobin, map[uint32]int{1: 10000, 2: 20000, 3: 30000}},
	}
	for _, row := range rows {
		t.Run(string(row.policy), func(t *testing.T) {
			const workers, each = 4, 15000 // more than CPUs, so that they meet there, too
			r := newRig(t)
			r.apply(snapshot(row.policy, weighted(1, 1), weighted(2, 2), weighted(3, 3)))
			got := make([][]uint32, workers)
			var hands []*rehearsal // each with steps of its own, over the same service
			for range workers {
				h := rehearse(r)
				for range each {
					h.ask(lb.VIP{Addr: vip, Proto: lb.TCP}, netip.AddrPortFrom(client, 7), vip, 0, 0)
				}
				hands = append(hands, h)
			}
			var all sync.WaitGroup
			for i, h := range hands {
				all.Go(func() { got[i] = h.run() })
			}
			all.Wait()
			shares := map[uint32]int{}
			for _, slot := range slices.Concat(got...) {
				shares[r.weightIn(slot)]++
			}
			for weight, want := range row.want {
				if shares[weight] != want {
					t.Errorf("backends were chosen %v times by weight, want %v", shares, row.want)
					break
				}
			}
		})
	}
}

// weightIn is the weight of the backend in a slot, 0 for none.
func (r *rig) weightIn(slot uint32) uint32 {
	r.Helper()
	var b xdpBackend
	if err := r.objects.Backends.Lookup(slot, &b); err != ebpf.ErrKeyNotExist {
		ok(r, err)
	}
	return uint32(b.Weight)
}

// rr's place in a list that has changed is that of the kernel's pointer into it.
func TestPlaceMovesAsTheKernelsPointer(t *testing.T) {
	rows := []struct {
		what   string
		before []uint16
		place  uint32
		after  []uint16
		want   uint32
	}{
		{"nothing was chosen yet", []uint16{1, 2, 3}, 0, []uint16{3, 2, 1}, 0},
		{"a new one comes first", []uint16{1, 2, 3}, 2, []uint16{9, 1, 2, 3}, 3},
		{"another one goes", []uint16{1, 2, 3}, 3, []uint16{2, 3}, 2},
		{"the last one chosen goes", []uint16{1, 2, 3}, 2, []uint16{1, 3}, 1},
		{"it and the one before go", []uint16{1, 2, 3, 4}, 3, []uint16{1, 4}, 1},
		{"it goes from the head", []uint16{1, 2, 3}, 1, []uint16{2, 3}, 0},
		{"all go", []uint16{1, 2, 3}, 2, nil, 0},
	}
	for _, row := range rows {
		if got := placeAfter(row.before, row.place, row.after); got != row.want {
			t.Errorf("%s: place %d, want %d", row.what, got, row.want)
		}
	}
}
