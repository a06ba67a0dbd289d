package healthcheck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"lbctl/internal/lb"
)

// Result is the outcome of one probe.
type Result struct {
	At   time.Time // its start; zero if there was none yet
	Took time.Duration
	Err  error // nil: success
}

// Reason says the result in one line.
func (r Result) Reason() string {
	switch {
	case r.At.IsZero():
		return ""
	case r.Err != nil:
		return r.Err.Error()
	}
	return "ok"
}

// TargetState is what is known of a target.
type TargetState struct {
	lb.Target
	Health    lb.Health
	Since     time.Time // Health has held
	Last      Result
	Successes int // in a row
	Failures  int // in a row
	Doubt     Doubt
}

// Doubt is what somebody else holds against a target.
type Doubt struct {
	Reason string    // empty: nobody does
	Until  time.Time // the one who doubts will ask it again
}

// Monitor probes targets and tells of their transitions.
type Monitor struct {
	dial   Dial
	notify func(lb.Transition)

	ctx   context.Context
	close context.CancelFunc
	wg    sync.WaitGroup

	mu      sync.Mutex
	targets map[lb.Target]*target
	adopted map[lb.Target]lb.Health
	queue   []news
	wake    chan struct{} // capacity 1: the queue is not empty
}

// news is a transition on its way to notify.
type news struct {
	of *target
	tr lb.Transition
}

// New returns a Monitor without targets. notify is called from one goroutine,
// in order; while it blocks, probing goes on and transitions wait.
func New(dial Dial, notify func(lb.Transition)) *Monitor {
	ctx, cancel := context.WithCancel(context.Background())
	m := &Monitor{
		dial: dial, notify: notify, ctx: ctx, close: cancel,
		targets: map[lb.Target]*target{}, adopted: map[lb.Target]lb.Health{}, wake: make(chan struct{}, 1),
	}
	m.wg.Go(m.tell)
	return m
}

// Adopt sets the health that targets start with when a later Set adds them:
// what was known before a restart. They are probed within one interval and
// leave that health by the ordinary thresholds.
func (m *Monitor) Adopt(states map[lb.Target]lb.Health) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for t, h := range states {
		m.adopted[t] = h
	}
}

// Set makes exactly these targets probed. A kept target keeps its state and its
// rhythm; if its check reads differently, it keeps its state and goes on by the
// new text. On an error nothing has changed.
func (m *Monitor) Set(checks []lb.Check, targets []lb.Target) error {
	probes, err := m.probes(checks, targets)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		return errors.New("set targets: monitor is closed")
	}
	for key, t := range m.targets {
		if _, kept := probes[key]; !kept {
			t.stop()
			delete(m.targets, key)
		}
	}
	for key, p := range probes {
		if t, ok := m.targets[key]; !ok {
			m.start(key, p)
		} else if !reflect.DeepEqual(t.probe.Check, p.Check) {
			t.probe = p
			select {
			case t.kick <- struct{}{}:
			default: // kicked already
			}
		}
	}
	clear(m.adopted)
	return nil
}

// probes pairs each target with its check.
func (m *Monitor) probes(checks []lb.Check, targets []lb.Target) (map[lb.Target]probe, error) {
	byName := make(map[string]lb.Check, len(checks))
	for _, c := range checks {
		if err := Validate(c); err != nil {
			return nil, err
		}
		byName[c.Name] = c
	}
	probes := make(map[lb.Target]probe, len(targets))
	for _, key := range targets {
		c, ok := byName[key.Check]
		if !ok {
			return nil, fmt.Errorf("target %s: no check is named %q", key.Addr, key.Check)
		}
		checker, err := newChecker(c, key.Addr, m.dial)
		if err != nil {
			return nil, fmt.Errorf("target %s: check %q: %w", key.Addr, c.Name, err)
		}
		probes[key] = probe{Check: c, Checker: checker}
	}
	return probes, nil
}

// start begins to probe a new target; mu is held.
func (m *Monitor) start(key lb.Target, p probe) {
	ctx, stop := context.WithCancel(m.ctx)
	t := &target{key: key, probe: p, stop: stop, kick: make(chan struct{}, 1), since: time.Now()}
	t.damper.health = m.adopted[key]
	adopted := t.damper.health != lb.Unknown
	m.targets[key] = t
	m.wg.Go(func() { m.run(ctx, t, adopted) })
}

// Doubt tells of a doubt about a target, which is probed soon then: at once, if its last
// probe is a fast interval ago. Its health changes by probes alone, since who doubts
// may have asked for something else. A target that is not probed is nobody's matter.
func (m *Monitor) Doubt(key lb.Target, d Doubt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.targets[key]
	if t == nil {
		return
	}
	if d.Until.After(t.doubt.Until) {
		t.doubt = d
	}
	t.hurry = true
	select {
	case t.kick <- struct{}{}:
	default: // kicked already
	}
}

// record takes in one result of a target that is still wanted.
func (m *Monitor) record(t *target, r Result, by lb.Check) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.targets[t.key] != t {
		return
	}
	from := t.damper.health
	next, changed := t.damper.step(r.Err == nil, by.Rise, by.Fall)
	t.damper, t.last = next, r
	if !changed {
		return
	}
	t.since = time.Now()
	m.queue = append(m.queue, news{t, lb.Transition{Target: t.key, From: from, To: next.health, Reason: r.Reason(), At: t.since}})
	select {
	case m.wake <- struct{}{}:
	default: // awake already
	}
}

// tell calls notify for each of the news that still concerns a wanted target.
func (m *Monitor) tell() {
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-m.wake:
		}
		for m.ctx.Err() == nil {
			n, ok := m.next()
			if !ok {
				break
			}
			m.notify(n.tr)
		}
	}
}

func (m *Monitor) next() (n news, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.queue) > 0 {
		n, m.queue = m.queue[0], m.queue[1:]
		if m.targets[n.of.key] == n.of {
			return n, true
		}
	}
	return news{}, false
}

// States returns what is known of every target, sorted by check and address.
func (m *Monitor) States() []TargetState {
	m.mu.Lock()
	states := make([]TargetState, 0, len(m.targets))
	for _, t := range m.targets {
		s := TargetState{
			Target: t.key, Health: t.damper.health, Since: t.since, Last: t.last,
			Successes: t.damper.successes, Failures: t.damper.failures,
		}
		if time.Now().Before(t.doubt.Until) {
			s.Doubt = t.doubt
		}
		states = append(states, s)
	}
	m.mu.Unlock()
	slices.SortFunc(states, func(a, b TargetState) int {
		return cmp.Or(cmp.Compare(a.Check, b.Check), a.Addr.Compare(b.Addr))
	})
	return states
}

// Close ends all probing and returns when no goroutine of the Monitor is left.
// It must not be called from within notify.
func (m *Monitor) Close() {
	m.mu.Lock()
	m.close()
	m.mu.Unlock()
	m.wg.Wait()
}
