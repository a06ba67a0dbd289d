package ctl

import (
	"strings"
	"testing"
	"testing/synctest"

	"lbctl/internal/lb"
)

func TestAPlaneThatCannotCountSaysSoAndHidesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		f := newFixture(t, nil)
		f.configure(t, testConfig(2))
		f.settle(t)
		f.l4.stats = func() (lb.Stats, error) { <-release; return lb.Stats{}, nil }
		st := f.Status(t.Context())
		for _, p := range st.Planes {
			if stuck := p.Name == lb.L4; stuck != strings.Contains(p.StatsError, "read counters of plane l4") {
				t.Errorf("plane %s: counters: %q", p.Name, p.StatsError)
			}
		}
		if svc, _ := st.Service("web-l7"); svc.Counters.Connections != 10 {
			t.Errorf("l7 counts %d connections beside a stuck l4, want 10", svc.Counters.Connections)
		}
	})
}
