package ipvs

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

func TestNewKnowsEachNameAndNoOther(t *testing.T) {
	for _, name := range Names() {
		if _, err := New(name, Options{Rand: rand.Uint32N}); err != nil {
			t.Errorf("New(%s): %v", name, err)
		}
	}
	if _, err := New("", Options{}); err == nil {
		t.Error("New without a name: no error")
	}
	if _, err := New("twos", Options{}); err == nil {
		t.Error("New(twos) without a random source: no error")
	}
}

func TestNewBackendsComeFirst(t *testing.T) {
	s := service(t, "rr", Options{})
	for i := 1; i <= 3; i++ {
		must(t, s.Add(Backend{Addr: addr(i), Weight: 1}))
	}
	for i, b := range s.Backends() {
		if number(b.Addr) != 3-i {
			t.Errorf("place %d: backend %d", i, number(b.Addr))
		}
	}
}

func TestBadChangesAreRefused(t *testing.T) {
	s := service(t, "rr", Options{}, 1)
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"add twice", s.Add(Backend{Addr: addr(1)}), ErrExists},
		{"edit a stranger", s.Edit(Backend{Addr: addr(2)}), ErrNotFound},
		{"delete a stranger", s.Delete(addr(2)), ErrNotFound},
		{"open to a stranger", stranger(s), ErrNotFound},
		{"weight", s.Add(Backend{Addr: addr(2), Weight: 1 << 31}), ErrRange},
		{"weight of an edit", s.Edit(Backend{Addr: addr(1), Weight: 1 << 31}), ErrRange},
		{"upper", s.Add(Backend{Addr: addr(2), Upper: 1 << 31}), ErrRange},
		{"lower above upper", s.Add(Backend{Addr: addr(2), Upper: 1, Lower: 2}), ErrRange},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.err, c.want)
		}
	}
}

func stranger(s *Scheduler) error {
	_, err := s.Open(addr(2))
	return err
}

func TestOneBackendDownTakesNothing(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			s := service(t, name, Options{Rand: rand.Uint32N, Fallback: true}, 3, 2, 1)
			must(t, s.Edit(Backend{Addr: addr(2), Weight: 0}))
			for i := range 500 {
				f, ok := s.Connect(to(i), time.Duration(i)*time.Second)
				if ok && number(f.To()) == 2 {
					t.Fatalf("flow %d went to a backend of weight 0", i)
				}
				if ok {
					f.SetActive(i%2 == 0)
					if i%3 > 0 {
						f.Close()
					}
				}
			}
		})
	}
}

func TestNoBackendTakesNothing(t *testing.T) {
	for _, name := range Names() {
		s := service(t, name, Options{Rand: rand.Uint32N, Fallback: true, Port: true})
		want(t, choices(s, 3), "---")
		must(t, s.Add(Backend{Addr: addr(1), Weight: 0}))
		want(t, choices(s, 3), "---")
		must(t, s.Edit(Backend{Addr: addr(1), Weight: 1}))
		want(t, choices(s, 3), "111")
		must(t, s.Delete(addr(1)))
		want(t, choices(s, 3), "---")
	}
}

// Half a million events at random must neither panic nor let a counter drift.
func TestCountersNeverDrift(t *testing.T) {
	steps := 40000
	if testing.Short() {
		steps = 4000
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(len(name))))
			s := service(t, name, Options{Rand: r.Uint32N, Port: true, Fallback: true}, 1, 2, 3, 4)
			churn(t, s, r, steps)
			for _, b := range s.Backends() {
				if b.Active != 0 || b.Inactive != 0 || b.Overloaded {
					t.Errorf("backend %d: %+v after all flows closed", number(b.Addr), b)
				}
			}
		})
	}
}

func churn(t *testing.T, s *Scheduler, r *rand.Rand, steps int) {
	t.Helper()
	var live []*Flow
	now := time.Duration(0)
	weights := []uint32{0, 1, 2, 7, 100, 1<<31 - 1}
	if _, is := s.policy.(twos); is {
		weights = weights[:5] // a sum that wraps to 0 would be a kernel's division by zero
	}
	random := func() Backend {
		b := Backend{Addr: addr(1 + r.IntN(8)), Weight: weights[r.IntN(len(weights))]}
		if r.IntN(2) == 0 {
			b.Upper = uint32(1 + r.IntN(20))
			b.Lower = uint32(r.IntN(int(b.Upper)))
		}
		return b
	}
	for range steps {
		now += time.Duration(r.IntN(int(time.Minute)))
		switch k := r.IntN(100); {
		case k < 55:
			p := to(r.IntN(5000))
			if f, ok := s.Connect(p, now); ok {
				live = append(live, f)
			}
		case k < 70 && len(live) > 0:
			live[r.IntN(len(live))].SetActive(r.IntN(2) == 0)
		case k < 97 && len(live) > 0:
			i := r.IntN(len(live))
			live[i].Close()
			live[i] = live[len(live)-1]
			live = live[:len(live)-1]
		case k == 97:
			_ = s.Add(random()) // may exist
		case k == 98:
			_ = s.Edit(random()) // may not
		case k == 99:
			_ = s.Delete(random().Addr)
		}
	}
	for _, f := range live {
		f.Close()
		f.Close()
	}
}
