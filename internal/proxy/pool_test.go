package proxy

import (
	"testing"
	"time"

	"lbctl/internal/lb"
)

func TestABackendsConnectionIsKeptForItsIdleTimeAndNoLongerThanItsAge(t *testing.T) {
	th := newTheatre(t, 1, func(v *lb.Service) {
		v.HTTP.IdleConnTimeout, v.HTTP.IdleConnMaxAge = 20*time.Second, time.Minute
	})
	k := th.accept()
	again := func() {
		t.Helper()
		k.says(get, 0)
		s := th.serving(k)
		s.says(hello, 0)
		if out := k.took(); status(out) != "200" {
			t.Fatalf("%q", out)
		}
	}
	again()
	s := th.dialled[0]
	for _, c := range []struct {
		after    time.Duration // the last request
		deadline time.Duration
	}{{0, 20 * time.Second}, {19 * time.Second, 20 * time.Second}, {19 * time.Second, 20 * time.Second}, {12 * time.Second, 10 * time.Second}} {
		th.passes(c.after)
		again()
		if len(th.dialled) != 1 || s.deadline != c.deadline {
			t.Fatalf("%v later: %d connections, and it is kept for %v, want %v", c.after, len(th.dialled), s.deadline, c.deadline)
		}
	}
	th.passes(10 * time.Second) // its deadline, of which nobody has told yet
	again()
	if len(th.dialled) != 2 || s.ended != "closed" {
		t.Errorf("when it is old enough: %d connections, it is %q", len(th.dialled), s.ended)
	}
	// One on which a request is then is not kept afterwards.
	k.says(get, 0)
	th.passes(time.Minute)
	s = th.serving(k)
	s.says(hello, 0)
	if s.ended != "closed" || len(th.dialled) != 2 {
		t.Errorf("after a request that has taken a minute: %q", s.ended)
	}
	if n := th.service.Members[0].Endpoint.kept.Load(); n != 0 {
		t.Errorf("%d connections are counted as kept", n)
	}
	th.idle()
}

func TestOtherAgesAreForOtherConnections(t *testing.T) {
	th := newTheatre(t, 1)
	th.sent(get)
	conf := th.conf("web", 1)
	conf.HTTP.IdleConnMaxAge = time.Second
	th.serve(conf)
	if s := th.dialled[0]; s.ended != "closed" {
		t.Errorf("one that was kept for longer: %q", s.ended)
	}
}
