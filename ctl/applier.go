package ctl

import (
	"context"
	"fmt"
	"sync"
	"time"

	"lbctl/internal/lb"
)

// applyTimeout bounds one attempt, so that a plane that hangs is one that fails.
const applyTimeout = 30 * time.Second

// Plane is a plane that the Controller may have to open.
type Plane struct {
	Name lb.Plane
	Node string // the balancer that it is on; empty if the lab has one
	// Open loads the plane or adopts the one that runs. It is tried again while it fails.
	Open func(context.Context) (DataPlane, error)
	// Validate reports what of a service the plane can never do; may be nil. Without
	// it such a service would be applied in vain for ever.
	Validate func(lb.Service) error
}

// applier brings one plane to the newest snapshot in its own time. The mailbox
// holds the newest one only: what it replaces need never be applied.
type applier struct {
	plane   Plane
	mailbox chan lb.Snapshot // capacity 1
	event   func(Event)
	changed func() // status differs
	ejected func(Plane, lb.Ejection)

	mu      sync.Mutex
	status  PlaneStatus
	open    DataPlane     // nil until opened
	reading chan struct{} // capacity 1: a call of open.Stats
}

// String returns "l4", or "l4 on lb2" where there are two.
func (p Plane) String() string {
	if p.Node == "" {
		return string(p.Name)
	}
	return string(p.Name) + " on " + p.Node
}

func newApplier(p Plane, event func(Event), changed func(), ejected func(Plane, lb.Ejection)) *applier {
	return &applier{
		plane: p, mailbox: make(chan lb.Snapshot, 1), event: event, changed: changed, ejected: ejected,
		status:  PlaneStatus{Name: p.Name, Node: p.Node, State: PlaneIdle, Since: time.Now()},
		reading: make(chan struct{}, 1),
	}
}

// offer hands over a newer snapshot and never blocks; one goroutine calls it.
// A plane that is not wanted, because no service ever was its own, stays closed
// and has nothing to apply.
func (a *applier) offer(s lb.Snapshot, wanted bool) {
	a.mu.Lock()
	a.status.Desired = s.Revision
	if !wanted {
		a.status.Applied = s.Revision
	} else if a.status.State != PlaneFailing {
		a.become(PlaneApplying)
	}
	a.mu.Unlock()
	if !wanted {
		return
	}
	select {
	case <-a.mailbox: // an older one, not yet taken
	default:
	}
	a.mailbox <- s
}

// run applies what is offered until ctx ends.
func (a *applier) run(ctx context.Context) {
	var newest lb.Snapshot
	var lastTry time.Time
	retry := time.NewTimer(0)
	retry.Stop()
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case newest = <-a.mailbox:
			// The cure may be in it, so it need not sit out a long backoff; but a
			// busy controller must not turn backoff off either.
			if wait := time.Until(lastTry.Add(backoffMin)); wait > 0 && a.failing() {
				retry.Reset(wait)
				continue
			}
		case <-retry.C:
		}
		lastTry = time.Now()
		err := a.try(ctx, newest)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			retry.Stop()
			a.succeeded(newest.Revision)
			continue
		}
		retry.Reset(backoff(a.failed(newest.Revision, err)))
	}
}

// try opens the plane, if need be, and applies s.
func (a *applier) try(ctx context.Context, s lb.Snapshot) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	a.mu.Lock()
	open := a.open
	a.mu.Unlock()
	if open == nil {
		opened, err := a.plane.Open(ctx)
		if err != nil {
			return fmt.Errorf("plane %s: open: %w", a.plane, err)
		}
		open = opened
		a.mu.Lock()
		a.open = opened
		a.mu.Unlock()
		if judge, ok := opened.(interface{ OnEjection(func(lb.Ejection)) }); ok {
			judge.OnEjection(func(e lb.Ejection) { a.ejected(a.plane, e) })
		}
		a.event(Event{Kind: EventPlane, Plane: a.plane.Name, Node: a.plane.Node, Revision: s.Revision, Message: fmt.Sprintf("plane %s is open", a.plane)})
	}
	if err := open.Apply(ctx, s); err != nil {
		return fmt.Errorf("plane %s: %w", a.plane, err)
	}
	return nil
}

func (a *applier) succeeded(revision uint64) {
	a.mu.Lock()
	streak := a.status.Retries
	a.status.Retries = 0
	a.status.Applied = revision
	a.become(PlaneApplying)
	if a.status.Desired == revision {
		a.become(PlaneApplied)
	}
	a.mu.Unlock()
	if streak > 0 {
		a.event(Event{
			Kind: EventApplyRecovered, Plane: a.plane.Name, Node: a.plane.Node, Revision: revision, Failures: streak,
			Message: fmt.Sprintf("plane %s has revision %d after %d failed attempts", a.plane, revision, streak),
		})
	}
	a.changed()
}

// failed returns the length of the streak of failures.
func (a *applier) failed(revision uint64, err error) int {
	a.mu.Lock()
	a.status.Retries++
	a.status.Failures++
	a.status.LastError, a.status.LastErrorAt = err.Error(), time.Now()
	a.become(PlaneFailing)
	streak := a.status.Retries
	a.mu.Unlock()
	if streak == 1 {
		a.event(Event{
			Kind: EventApplyFailed, Plane: a.plane.Name, Node: a.plane.Node, Revision: revision, Failures: streak,
			Error: err.Error(), Message: fmt.Sprintf("%s; what was applied before stays", err),
		})
	}
	a.changed()
	return streak
}

// become changes the state and its time; mu is held.
func (a *applier) become(s PlaneState) {
	if a.status.State != s {
		a.status.State, a.status.Since = s, time.Now()
	}
}

func (a *applier) failing() bool { return a.current().State == PlaneFailing }

func (a *applier) current() PlaneStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	status := a.status
	status.ask(a.open)
	return status
}

// stats asks the plane; ok is false if it is not open. A plane that does not
// answer holds up this call until ctx ends, and no other.
func (a *applier) stats(ctx context.Context) (stats lb.Stats, ok bool, err error) {
	a.mu.Lock()
	open := a.open
	a.mu.Unlock()
	if open == nil {
		return lb.Stats{}, false, nil
	}
	select {
	case a.reading <- struct{}{}:
	case <-ctx.Done():
		return lb.Stats{}, true, fmt.Errorf("read counters of plane %s: an earlier reading has not come back", a.plane)
	}
	type answer struct {
		stats lb.Stats
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		stats, err := open.Stats()
		<-a.reading
		answers <- answer{stats, err}
	}()
	select {
	case got := <-answers:
		return got.stats, true, got.err
	case <-ctx.Done():
		return lb.Stats{}, true, fmt.Errorf("read counters of plane %s: %w", a.plane, ctx.Err())
	}
}

// close lets go of the plane once no reading is under way; run has returned.
func (a *applier) close() error {
	a.reading <- struct{}{}
	defer func() { <-a.reading }()
	a.mu.Lock()
	open := a.open
	a.open = nil
	a.mu.Unlock()
	if open == nil {
		return nil
	}
	if err := open.Close(); err != nil {
		return fmt.Errorf("close plane %s: %w", a.plane, err)
	}
	return nil
}
