package ipvs

import (
	"net/netip"
	"testing"
)

// bucketsOf counts the buckets or slots of each backend.
func bucketsOf(table []*backend) map[int]int {
	got := map[int]int{}
	for _, d := range table {
		got[number(d.addr)]++
	}
	return got
}

func TestDestinationHashDealsBucketsInTurn(t *testing.T) {
	s := service(t, "dh", Options{}, 1, 9, 0)
	h := s.policy.(*dh)
	for i, d := range h.buckets {
		if number(d.addr) != i%3+1 {
			t.Fatalf("bucket %d: backend %d", i, number(d.addr))
		}
	}
	for i := range 1000 {
		p := to(i)
		bucket := hash32(fold(p.Dst.Addr()), 8)
		a, ok := s.Schedule(p, 0)
		if refused := bucket%3 == 2; ok == refused || ok && number(a) != int(bucket%3)+1 {
			t.Fatalf("bucket %d went to %v %v", bucket, a, ok)
		}
	}
}

func TestSourceHashDealsBucketsByWeight(t *testing.T) {
	for _, c := range []struct {
		weights []uint32
		want    map[int]int
	}{
		{[]uint32{1, 1, 2}, map[int]int{1: 64, 2: 64, 3: 128}},
		{[]uint32{3, 0, 1}, map[int]int{1: 154, 2: 51, 3: 51}}, // weight 0 has one at a time
		{[]uint32{200, 100, 5}, map[int]int{1: 200, 2: 56}},    // the third has none left
		{[]uint32{1<<31 - 1, 1}, map[int]int{1: 256}},
	} {
		s := service(t, "sh", Options{}, c.weights...)
		got := bucketsOf(s.policy.(*sh).buckets[:])
		for i, n := range c.want {
			if got[i] != n || len(got) != len(c.want) {
				t.Errorf("weights %v: buckets %v, want %v", c.weights, got, c.want)
				break
			}
		}
	}
}

func TestSourceHashLooksAtThePortOnlyIfAsked(t *testing.T) {
	for _, name := range []string{"sh", "mh"} {
		plain, port := service(t, name, Options{}, 1, 1, 1), service(t, name, Options{Port: true}, 1, 1, 1)
		seen, seenByPort := map[netip.AddrPort]bool{}, map[netip.AddrPort]bool{}
		for i := range 200 {
			p := client(1)
			p.Src = netip.AddrPortFrom(p.Src.Addr(), uint16(1024+i))
			a, _ := plain.Schedule(p, 0)
			b, _ := port.Schedule(p, 0)
			seen[a], seenByPort[b] = true, true
		}
		if len(seen) != 1 || len(seenByPort) != 3 {
			t.Errorf("%s: one client went to %d backends, by port to %d; want 1 and 3", name, len(seen), len(seenByPort))
		}
	}
}

func TestFallbackMovesOnlyClientsOfTheBackendThatIsDown(t *testing.T) {
	for _, name := range []string{"sh", "mh"} {
		t.Run(name, func(t *testing.T) {
			refusing, moving := service(t, name, Options{}, 1, 2, 3), service(t, name, Options{Fallback: true}, 1, 2, 3)
			whole := service(t, name, Options{}, 1, 2, 3)
			for _, s := range []*Scheduler{refusing, moving} {
				must(t, s.Edit(Backend{Addr: addr(3), Weight: 3, Upper: 1}))
				flows(t, s, 3, 1, true)
			}
			for i := range 2000 {
				before, _ := whole.Schedule(client(i), 0)
				down := number(before) == 3
				if a, ok := refusing.Schedule(client(i), 0); ok == down || ok && a != before {
					t.Fatalf("client %d of backend %d, without fallback: %v %v", i, number(before), a, ok)
				}
				a, ok := moving.Schedule(client(i), 0)
				if !ok || number(a) == 3 || !down && a != before {
					t.Fatalf("client %d of backend %d, with fallback: %v %v", i, number(before), a, ok)
				}
			}
		})
	}
}

func TestMaglevSlotsFollowWeights(t *testing.T) {
	for _, c := range []struct {
		weights []uint32
		want    map[int]int
	}{
		{[]uint32{1}, map[int]int{1: 4093}},
		{[]uint32{1, 1, 1}, map[int]int{1: 1365, 2: 1364, 3: 1364}},
		{[]uint32{1, 2, 0}, map[int]int{1: 1365, 2: 2728}},
		{[]uint32{100, 200}, map[int]int{1: 1365, 2: 2728}},
		{[]uint32{1, 1<<31 - 1}, map[int]int{1: 64, 2: 4029}}, // 6 bits: at most 63 to 1
	} {
		s := service(t, "mh", Options{}, c.weights...)
		got := bucketsOf(s.policy.(*mh).table)
		for i, n := range c.want {
			if got[i] != n || len(got) != len(c.want) {
				t.Errorf("weights %v: slots %v, want %v", c.weights, got, c.want)
				break
			}
		}
	}
}

func TestMaglevKeepsTheSlotsOfAQuiescedBackend(t *testing.T) {
	s := service(t, "mh", Options{}, 1, 1, 1)
	before := shares(s, 3000)
	must(t, s.Edit(Backend{Addr: addr(2), Weight: 0}))
	after := shares(s, 3000)
	if after[1] != before[1] || after[3] != before[3] || after[2] != 0 {
		t.Errorf("shares %v, then %v: the others' clients moved", before, after)
	}
	must(t, s.Delete(addr(2)))
	if gone := shares(s, 3000); gone[1]+gone[3] != 3000 {
		t.Errorf("shares %v after it was deleted", gone)
	}
}

func TestMaglevMovesFewOthers(t *testing.T) {
	s := service(t, "mh", Options{}, 1, 1, 1, 1, 1, 1, 1, 1)
	before := append([]*backend(nil), s.policy.(*mh).table...)
	must(t, s.Delete(addr(5)))
	moved, others := 0, 0
	for i, d := range s.policy.(*mh).table {
		if number(before[i].addr) == 5 {
			continue
		}
		if others++; d != before[i] {
			moved++
		}
	}
	if moved*100 > others*5 {
		t.Errorf("%d of %d slots of others moved", moved, others)
	}
}
