package ipvs

import "testing"

func overloaded(s *Scheduler) bool { return s.Backends()[0].Overloaded }

func TestFlowsBeginInactive(t *testing.T) {
	s := service(t, "rr", Options{}, 1)
	f := flows(t, s, 1, 1, false)[0]
	if b := s.Backends()[0]; b.Active != 0 || b.Inactive != 1 {
		t.Errorf("%+v", b)
	}
	f.SetActive(true)
	f.SetActive(true)
	if b := s.Backends()[0]; b.Active != 1 || b.Inactive != 0 {
		t.Errorf("%+v", b)
	}
	f.Close()
	f.SetActive(false)
	f.Close()
	if b := s.Backends()[0]; b.Active != 0 || b.Inactive != 0 {
		t.Errorf("%+v", b)
	}
}

func TestOverloadBeginsAtUpperAndEndsBelowLower(t *testing.T) {
	for _, c := range []struct {
		name         string
		upper, lower uint32
		begins, ends int // flows
	}{
		{"both", 10, 4, 10, 3},
		{"no lower: three quarters", 8, 0, 8, 5},
		{"three quarters, rounded up", 10, 0, 10, 7},
		{"one", 1, 0, 1, 0},
		{"lower is upper", 5, 5, 5, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := service(t, "rr", Options{}, 1)
			must(t, s.Edit(Backend{Addr: addr(1), Weight: 1, Upper: c.upper, Lower: c.lower}))
			var live []*Flow
			for !overloaded(s) && len(live) < 20 {
				live = append(live, flows(t, s, 1, 1, len(live)%2 == 0)...)
			}
			if len(live) != c.begins {
				t.Errorf("overloaded at %d flows, want %d", len(live), c.begins)
			}
			for overloaded(s) && len(live) > 0 {
				live[0].Close()
				live = live[1:]
			}
			if len(live) != c.ends {
				t.Errorf("no longer overloaded at %d flows, want %d", len(live), c.ends)
			}
		})
	}
}

func TestThresholdsAreJudgedWhenTheyChange(t *testing.T) {
	s := service(t, "rr", Options{}, 1)
	flows(t, s, 1, 5, true)
	for i, c := range []struct {
		upper, lower uint32
		want         bool
	}{
		{5, 1, true},  // has five: full
		{6, 1, true},  // fewer than six, but not below one: stays
		{6, 6, false}, // below six
		{6, 1, false}, // stays
		{2, 0, true},
		{0, 0, false},
	} {
		must(t, s.Edit(Backend{Addr: addr(1), Weight: 1, Upper: c.upper, Lower: c.lower}))
		if overloaded(s) != c.want {
			t.Errorf("step %d: overloaded %v, want %v", i, !c.want, c.want)
		}
	}
}

func TestAnOverloadedBackendTakesNothing(t *testing.T) {
	s := service(t, "rr", Options{}, 1, 1)
	must(t, s.Edit(Backend{Addr: addr(1), Weight: 1, Upper: 2}))
	want(t, connections(s, 6), "121222")
}

func TestABackendThatComesBackFindsItsFlows(t *testing.T) {
	s := service(t, "lc", Options{}, 1, 1)
	f := flows(t, s, 1, 3, true)
	must(t, s.Delete(addr(1)))
	want(t, choices(s, 1), "2")
	f[0].Close()
	must(t, s.Add(Backend{Addr: addr(1), Weight: 1}))
	if b := s.Backends()[0]; b.Addr != addr(1) || b.Active != 2 {
		t.Errorf("came back as %+v", b)
	}
	want(t, choices(s, 1), "2")
}
