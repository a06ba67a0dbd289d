package l7

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"lbctl/internal/lb"
)

func (l *lab) shares(s *lb.Service, n int) map[string]int {
	l.Helper()
	got := map[string]int{}
	for range n {
		status, server, body := l.get(s)
		if status != 200 {
			l.Fatalf("status %d: %s", status, body)
		}
		got[server]++
	}
	return got
}

func TestSharesFollowThePolicyAlsoWithABackendDown(t *testing.T) {
	l := newLab(t)
	for range 3 {
		l.backend(nil)
	}
	l.service("rr", lb.RoundRobin)
	l.service("wrr", lb.WeightedRoundRobin)
	rr, wrr := &l.config.Services[0], &l.config.Services[1]
	for i, w := range []uint32{10, 2, 8} {
		wrr.Backends[i].Weight = w
	}
	l.apply()
	if got := l.shares(rr, 30); got["s1"] != 10 || got["s2"] != 10 || got["s3"] != 10 {
		t.Errorf("rr: %v, want 10 each", got)
	}
	if got := l.shares(wrr, 40); got["s1"] != 20 || got["s2"] != 4 || got["s3"] != 16 {
		t.Errorf("wrr 10:2:8: %v, want 20:4:16", got)
	}
	wrr.Backends[0].Health = lb.Down
	l.apply()
	if got := l.shares(wrr, 50); got["s1"] != 0 || got["s2"] != 10 || got["s3"] != 40 {
		t.Errorf("wrr 10:2:8 with the first down: %v, want 0:10:40", got)
	}
}

func TestHashPoliciesKeepAClient(t *testing.T) {
	l := newLab(t)
	for range 4 {
		l.backend(nil)
	}
	l.service("sh", lb.SourceHash)
	l.service("mh", lb.Maglev)
	l.apply()
	if got := l.shares(&l.config.Services[0], 10); len(got) != 1 {
		t.Errorf("sh: one client went to %v", got)
	}
	if got := l.shares(&l.config.Services[1], 10); len(got) != 1 {
		t.Errorf("mh: one connection went to %v", got)
	}
}

func TestLeastConnAvoidsTheBusyBackend(t *testing.T) {
	l := newLab(t)
	release := make(chan struct{})
	hold := func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			<-release
		}
	}
	l.backend(hold)
	l.backend(hold)
	s := l.service("lc", lb.LeastConn)
	l.apply()
	held := make(chan error)
	go func() {
		resp, err := l.client.Get("http://" + s.VIP.Addr.String() + "/hold")
		if err == nil {
			resp.Body.Close()
		}
		held <- err
	}()
	eventually(t, time.Second, func() error {
		if c, _ := l.counters(s); c.Active != 1 {
			return fmt.Errorf("%d requests active, want 1", c.Active)
		}
		return nil
	})
	if got := l.shares(s, 10); len(got) != 1 {
		t.Errorf("with one backend busy: %v, want all at the other", got)
	}
	close(release)
	if err := <-held; err != nil {
		t.Error(err)
	}
	eventually(t, time.Second, func() error { // the client may have its answer before that is counted
		if c, _ := l.counters(s); c.Requests != 11 || c.Active != 0 {
			return fmt.Errorf("counters %+v, want 11 requests, none active", c)
		}
		return nil
	})
}

func TestNoEligibleBackendIs503(t *testing.T) {
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	s.Backends[0].Admin = lb.Draining
	l.apply()
	status, _, body := l.get(s)
	if status != 503 || body != "Service Unavailable: no backend of service web is eligible\n" {
		t.Errorf("%d %q", status, body)
	}
	eventually(t, time.Second, func() error { // the client may have its answer before that is counted
		if c, _ := l.counters(s); c.Errors != 1 || c.Requests != 1 || c.Active != 0 {
			return fmt.Errorf("counters %+v, want 1 request, 1 error", c)
		}
		return nil
	})
}
