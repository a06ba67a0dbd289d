package ipvs

import "testing"

func TestLeastConnections(t *testing.T) {
	want(t, connections(service(t, "lc", Options{}, 1, 9, 1), 7), "1231231")
	s := service(t, "lc", Options{}, 1, 1)
	flows(t, s, 1, 1, true)
	flows(t, s, 2, 255, false) // an active one weighs 256
	want(t, choices(s, 1), "2")
	flows(t, s, 2, 1, false)
	want(t, choices(s, 1), "1")
}

func TestWeightedLeastConnections(t *testing.T) {
	// Idle: the first in the list, not the heaviest; then by load per weight.
	want(t, connections(service(t, "wlc", Options{}, 1, 2, 3), 12), "123323123323")
	s := service(t, "wlc", Options{}, 1<<31-1, 1)
	flows(t, s, 1, 3, true)
	want(t, connections(s, 4), "2111")
}

func TestShortestExpectedDelay(t *testing.T) {
	want(t, connections(service(t, "sed", Options{}, 1, 2, 3), 12), "323123323123")
	s := service(t, "sed", Options{}, 1, 1)
	flows(t, s, 1, 1000, false) // inactive ones do not count
	want(t, connections(s, 2), "12")
}

func TestNeverQueue(t *testing.T) {
	want(t, connections(service(t, "nq", Options{}, 1, 2, 30), 8), "12333333")
	s := service(t, "nq", Options{}, 0, 1, 30)
	want(t, connections(s, 4), "2333")
}

func TestFailover(t *testing.T) {
	s := service(t, "fo", Options{}, 1, 3, 3)
	want(t, choices(s, 2), "22")
	must(t, s.Edit(Backend{Addr: addr(2), Weight: 3, Upper: 1}))
	want(t, connections(s, 3), "233")
	must(t, s.Edit(Backend{Addr: addr(3), Weight: 0}))
	want(t, choices(s, 2), "11")
}

func TestOverflow(t *testing.T) {
	// Each takes one more than it weighs.
	want(t, connections(service(t, "ovf", Options{}, 1, 3), 8), "222211--")
	s := service(t, "ovf", Options{}, 1, 3)
	flows(t, s, 2, 100, false)
	want(t, choices(s, 1), "2")
}

func TestTwosTakesTheLessLoadedOfTwoDraws(t *testing.T) {
	for _, c := range []struct {
		name   string
		draws  []uint32
		active map[int]int
		want   string
	}{
		{"0 is the first in the list", []uint32{0, 0}, nil, "1"},
		{"1 too: its weight is 1", []uint32{1, 1}, nil, "1"},
		{"2 begins the second", []uint32{2, 2}, nil, "2"},
		{"the sum is the last", []uint32{6, 6}, nil, "3"},
		{"equals: the first draw", []uint32{6, 0}, nil, "3"},
		{"the second is less loaded", []uint32{6, 0}, map[int]int{3: 1}, "1"},
		{"by weight", []uint32{6, 0}, map[int]int{3: 3, 1: 1}, "3"},
		{"by weight, the other way", []uint32{6, 0}, map[int]int{3: 4, 1: 1}, "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			draws := c.draws
			s := service(t, "twos", Options{Rand: func(n uint32) uint32 {
				if n != 7 {
					t.Errorf("draws from %d numbers, want the sum of weights + 1", n)
				}
				d := draws[0]
				draws = draws[1:]
				return d
			}}, 1, 2, 3)
			for i, n := range c.active {
				flows(t, s, i, n, true)
			}
			want(t, choices(s, 1), c.want)
		})
	}
}
