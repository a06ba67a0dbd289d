package healthcheck

import (
	"context"
	"math/rand/v2"
	"time"

	"lbctl/internal/lb"
)

// soon bounds the wait for the first probe of a target of which nothing is known.
const soon = 100 * time.Millisecond

// probe is what a target's goroutine runs; immutable.
type probe struct {
	lb.Check
	Checker
}

// target is one goroutine's work and what came of it.
type target struct {
	key  lb.Target
	stop context.CancelFunc
	kick chan struct{} // capacity 1: the probe was replaced, or is wanted soon; reckon the next start anew

	// Guarded by Monitor.mu.
	probe  probe
	damper damper
	since  time.Time // damper.health has held
	last   Result
	doubt  Doubt
	hurry  bool // a doubt wants the next probe soon
}

// run probes until ctx ends. Intervals are counted from start to start, so the
// time that probes take does not stretch detection.
//
// A target of which nothing is known is probed soon, and so are all others that
// came with it; the wait after that is cut short at random, so that the rest of
// their probes spread over the interval. An adopted target can spread at once.
func (m *Monitor) run(ctx context.Context, t *target, adopted bool) {
	wait := rand.N(m.pause(t))
	if !adopted {
		wait = min(wait, rand.N(soon))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	var start time.Time // of the last probe
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.kick:
			timer.Reset(time.Until(start.Add(m.pause(t)))) // at once if there was no probe yet
			continue
		case <-timer.C:
		}
		spread := start.IsZero() && !adopted
		start = time.Now()
		m.probeOnce(ctx, t, start)
		wait = m.pause(t)
		if spread {
			wait = rand.N(wait) + 1
		}
		timer.Reset(time.Until(start.Add(wait)))
	}
}

func (m *Monitor) probeOnce(ctx context.Context, t *target, start time.Time) {
	m.mu.Lock()
	p := t.probe
	t.hurry = false
	m.mu.Unlock()
	probing, cancel := context.WithTimeout(ctx, p.Timeout)
	err := p.Checker.Check(probing)
	cancel()
	if ctx.Err() == nil {
		m.record(t, Result{At: start, Took: time.Since(start), Err: err}, p.Check)
	}
}

// pause is the time from the last probe's start to the next one's.
func (m *Monitor) pause(t *target) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.hurry || t.damper.inDoubt() {
		return min(t.probe.FastInterval, t.probe.Interval)
	}
	return t.probe.Interval
}
