package ctl

import (
	"testing"
	"time"

	"lbctl/internal/lb"
)

func TestTotalsOfTwoBalancersAddUpAndLevelsAreTheActiveOnes(t *testing.T) {
	stats := func(conns, active uint64) lb.Stats {
		c := lb.Counters{Connections: conns, PacketsIn: 10 * conns, Active: active}
		h := &lb.HTTPStats{Status: map[int]uint64{200: conns}, Whole: lb.Latency{Count: conns, Buckets: []lb.LatencyBucket{{From: 1, Below: 2, Count: conns}}}, Queued: active}
		return lb.Stats{
			Revision: 7, Flows: active, Run: lb.RunTime{Total: time.Duration(conns), Runs: conns},
			Services: []lb.ServiceStats{{Name: "web", Counters: c, HTTP: h, Backends: []lb.BackendStats{{ID: 1, Name: "s1", Counters: c, HTTP: h}}}},
			Verdicts: []lb.Verdict{{Name: "NEW_FLOW", Packets: conns}},
		}
	}
	active, other := stats(3, 2), stats(40, 30)
	other.Services = append(other.Services, lb.ServiceStats{Name: "removed meanwhile"})
	got := merge(active, other)
	for what, c := range map[string]lb.Counters{"service": got.Services[0].Counters, "backend": got.Services[0].Backends[0].Counters} {
		if c.Connections != 43 || c.PacketsIn != 430 || c.Active != 2 {
			t.Errorf("%s: %+v", what, c)
		}
	}
	for what, h := range map[string]*lb.HTTPStats{"service": got.Services[0].HTTP, "backend": got.Services[0].Backends[0].HTTP} {
		if h.Status[200] != 43 || h.Whole.Count != 43 || h.Whole.Buckets[0].Count != 43 || h.Queued != 2 {
			t.Errorf("%s: %+v", what, h)
		}
	}
	if got.Flows != 2 || got.Run.Runs != 43 || got.Verdicts[0].Packets != 43 || len(got.Services) != 1 {
		t.Errorf("%+v", got)
	}
	if active.Services[0].Counters.Connections != 3 || active.Verdicts[0].Packets != 3 || active.Services[0].HTTP.Status[200] != 3 {
		t.Error("merging changed what was merged")
	}
}

func TestALabWithOneBalancerHasNothingToFailOverTo(t *testing.T) {
	f := newFixture(t, nil)
	if _, err := f.Failover(t.Context(), FailoverRequest{}); StatusCode(err) != 409 {
		t.Errorf("failover: %v, want status 409", err)
	}
}
