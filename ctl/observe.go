package ctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"lbctl/healthcheck"
	"lbctl/internal/lb"
)

const (
	statsTimeout = 2 * time.Second // how long a plane may take to count
	waitTimeout  = time.Minute     // of a WaitRequest that names none
)

// Config returns the desired configuration and its tag.
func (c *Controller) Config() (config lb.Config, tag string) {
	v := c.latest.Load()
	return v.config, configTag(v.state)
}

// Version says who answers.
func (c *Controller) Version() Version {
	return Version{
		Version: BuildVersion(), API: "v1", Go: goVersion(),
		Lab: c.options.Lab, File: c.options.File, PID: os.Getpid(), StartedAt: c.started,
	}
}

// Stats returns the counters of the planes that are open. Planes are asked side
// by side: one that hangs costs the others nothing.
func (c *Controller) Stats(ctx context.Context) Stats {
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	answers := make([]*answer, len(c.appliers))
	var asked sync.WaitGroup
	for i, a := range c.appliers {
		asked.Go(func() {
			got, open, err := a.stats(ctx)
			if !open {
				return
			}
			answers[i] = &answer{node: a.plane.Node, PlaneStats: PlaneStats{Plane: a.plane.Name, Stats: got}}
			if err != nil {
				answers[i].Error = err.Error()
			}
		})
	}
	asked.Wait()
	stats := Stats{At: time.Now(), Planes: []PlaneStats{}}
	flows := map[string]uint64{} // by balancer
	for _, p := range c.activeFirst(answers) {
		i := slices.IndexFunc(stats.Planes, func(s PlaneStats) bool { return s.Plane == p.Plane })
		if i < 0 {
			stats.Planes = append(stats.Planes, p.PlaneStats)
		} else if p.Error == "" { // what a standby cannot tell is not missed
			stats.Planes[i].Stats = merge(stats.Planes[i].Stats, p.Stats)
		}
		if p.node != "" && p.Plane == lb.L4 {
			flows[p.node] = p.Flows
		}
	}
	if c.options.pair != nil {
		stats.Balancers = c.options.pair.status()
		for i := range stats.Balancers {
			stats.Balancers[i].Flows = flows[stats.Balancers[i].Node]
		}
	}
	return stats
}

// answer is what one plane says of itself.
type answer struct {
	PlaneStats
	node string
}

// activeFirst leaves out planes that are not open, and puts those of the active
// balancer before those of its standby.
func (c *Controller) activeFirst(answers []*answer) []*answer {
	answers = slices.DeleteFunc(answers, func(a *answer) bool { return a == nil })
	if c.options.pair != nil {
		active := c.options.pair.current().name
		slices.SortStableFunc(answers, func(a, b *answer) int {
			switch {
			case a.node == active && b.node != active:
				return -1
			case b.node == active && a.node != active:
				return 1
			}
			return 0
		})
	}
	return answers
}

// Status returns what is wanted, what the planes have and what was found.
func (c *Controller) Status(ctx context.Context) Status {
	stats := c.Stats(ctx)
	v := c.latest.Load()
	status := Status{
		Lab: c.options.Lab, File: c.options.File, Version: BuildVersion(), PID: os.Getpid(),
		StartedAt: c.started, Uptime: time.Since(c.started),
		Revision: v.revision, Planes: c.planes(), Services: v.services(stats), Timeouts: v.inForce(),
	}
	for i, p := range status.Planes {
		counted, _ := stats.Plane(p.Name)
		status.Planes[i].StatsError = counted.Error
		if len(stats.Balancers) == 0 || stats.Balancers[0].Node == p.Node {
			status.Planes[i].FlowTables = counted.FlowTables
		}
	}
	c.addProbes(status.Services)
	status.Balancers = stats.Balancers
	return status
}

func (c *Controller) planes() []PlaneStatus {
	planes := []PlaneStatus{}
	for _, a := range c.appliers {
		planes = append(planes, a.current())
	}
	return planes
}

// services joins the snapshot with the planes' counters.
func (v *view) services(stats Stats) []ServiceStatus {
	services := []ServiceStatus{}
	for i, svc := range v.snapshot.Services {
		counted, _ := stats.Service(svc.Name)
		counters := map[lb.BackendID]lb.Counters{}
		for _, b := range counted.Backends {
			counters[b.ID] = b.Counters
		}
		s := ServiceStatus{
			Name: svc.Name, Plane: svc.Plane, VIP: svc.VIP, L4: svc.L4, Forward: svc.Forward, Policy: svc.Policy,
			Check: svc.Check, Counters: counted.Counters, Backends: []BackendStatus{},
		}
		for j, b := range svc.Backends {
			f := v.health[lb.Target{Addr: b.Addr, Check: svc.Check}]
			s.Backends = append(s.Backends, BackendStatus{
				Backend: b, ScenarioWeight: v.config.Services[i].Backends[j].Weight,
				Since: f.since, Reason: f.reason, Counters: counters[b.ID],
			})
		}
		services = append(services, s)
	}
	return services
}

// addProbes adds what the Monitor saw last, which is newer than the last transition.
func (c *Controller) addProbes(services []ServiceStatus) {
	type seen struct {
		reason string
		at     time.Time
		took   time.Duration
		doubt  healthcheck.Doubt
	}
	last := map[lb.Target]seen{}
	for _, t := range c.monitor.States() {
		last[t.Target] = seen{t.Last.Reason(), t.Last.At, t.Last.Took, t.Doubt}
	}
	for _, s := range services {
		for i := range s.Backends {
			b := &s.Backends[i]
			l := last[lb.Target{Addr: b.Addr, Check: s.Check}]
			b.Doubt, b.DoubtUntil = l.doubt.Reason, l.doubt.Until
			if !l.at.IsZero() {
				b.Reason, b.Probed, b.ProbeTime = l.reason, l.at, l.took
			}
		}
	}
}

// Wait returns when what w asks for is so. When time runs out first, the
// Problem says what was missing.
func (c *Controller) Wait(ctx context.Context, w WaitRequest) error {
	timeout := w.Timeout
	if timeout <= 0 {
		timeout = waitTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		changed := c.changed.wait() // before looking, so that nothing slips between
		missing := c.missing(w)
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-c.ctx.Done():
			return errClosed
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return errClosed
			}
			return problem(http.StatusGatewayTimeout, "waited %s in vain: %s", timeout, strings.Join(missing, "; "))
		}
	}
}

func (c *Controller) missing(w WaitRequest) []string {
	var missing []string
	v := c.latest.Load()
	if v.revision < w.Revision {
		missing = append(missing, fmt.Sprintf("the newest revision is %d, not %d", v.revision, w.Revision))
	}
	for _, p := range c.planes() {
		if p.Applied >= v.revision {
			continue
		}
		what := fmt.Sprintf("plane %s has revision %d of %d", Plane{Name: p.Name, Node: p.Node}, p.Applied, v.revision)
		if p.State == PlaneFailing {
			what += fmt.Sprintf(" (%d failed attempts: %s)", p.Retries, p.LastError)
		}
		missing = append(missing, what)
	}
	if !w.Healthy {
		return missing
	}
	for _, t := range v.targets() {
		if v.health[t].health == lb.Unknown {
			missing = append(missing, fmt.Sprintf("check %s has not judged %s", t.Check, t.Addr))
		}
	}
	return missing
}

// Follow calls f with the events after since; see eventLog.read.
func (c *Controller) Follow(ctx context.Context, since uint64, follow bool, f func([]Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)() // readers leave with the daemon
	return c.events.read(ctx, since, follow, f)
}
