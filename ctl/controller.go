package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lbctl/healthcheck"
	"lbctl/internal/lb"
)

// Options are what a Controller needs.
type Options struct {
	Lab       string           // or the name of a standalone balancer
	File      string           // of a standalone balancer's configuration; empty for a lab
	StateFile string           // loaded if it exists
	Dial      healthcheck.Dial // for probes
	Planes    []Plane
	Log       *slog.Logger // nil: slog.Default
	pair      *pair        // nil: there is one balancer; the Controller closes it
}

// whose daemon it is.
func (o Options) whose() string {
	if o.File != "" {
		return "balancer " + o.Lab
	}
	return "lab " + o.Lab
}

// Controller owns the desired state of a lab. One goroutine (run) writes it;
// methods send that goroutine their work, or read the latest view.
type Controller struct {
	options  Options
	started  time.Time
	monitor  *healthcheck.Monitor
	appliers []*applier
	events   *eventLog
	changed  broadcast // something that Wait looks at
	latest   atomic.Pointer[view]

	commands    chan func()
	transitions chan lb.Transition
	ctx         context.Context
	cancel      context.CancelFunc
	wg          sync.WaitGroup
}

// view is one state with its snapshot; immutable.
type view struct {
	state
	snapshot lb.Snapshot
}

// transitionBatch is how many transitions one snapshot may take in.
const transitionBatch = 256

var errClosed = problem(http.StatusServiceUnavailable, "the daemon is shutting down")

// New returns a Controller that goes on where its state file ended: it hands
// the planes that snapshot and starts probing with that health.
func New(o Options) (*Controller, error) {
	s, err := loadState(o.StateFile, o.Lab)
	if err != nil {
		return nil, err
	}
	o.Log = cmp.Or(o.Log, slog.Default())
	c := &Controller{
		options: o, started: time.Now(), events: newEventLog(o.Log),
		commands: make(chan func()), transitions: make(chan lb.Transition, transitionBatch),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.events.add(Event{Kind: EventStarted, Revision: s.revision, Message: fmt.Sprintf("daemon of %s starts at revision %d", o.whose(), s.revision)})
	for _, p := range o.Planes {
		c.appliers = append(c.appliers, newApplier(p, c.events.add, c.changed.fire, c.ejected))
	}
	c.monitor = healthcheck.New(o.Dial, c.notify)
	known := map[lb.Target]lb.Health{}
	for t, f := range s.health {
		known[t] = f.health
	}
	c.monitor.Adopt(known)
	if err := c.monitor.Set(s.config.Checks, s.targets()); err != nil {
		c.monitor.Close()
		return nil, fmt.Errorf("resume checks: %w", err)
	}
	c.publish(s)
	for _, a := range c.appliers {
		c.wg.Go(func() { a.run(c.ctx) })
	}
	if o.pair != nil {
		o.pair.watch(c.events.add)
	}
	c.wg.Go(c.run)
	return c, nil
}

// run is the goroutine that owns the state.
func (c *Controller) run() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case command := <-c.commands:
			command()
		case tr := <-c.transitions:
			c.transit(tr)
		}
	}
}

// Close ends probing and applying, and lets go of the planes. Forwarding goes on.
func (c *Controller) Close() error {
	c.cancel()
	c.monitor.Close()
	c.wg.Wait()
	var errs []error
	for _, a := range c.appliers {
		errs = append(errs, a.close())
	}
	if c.options.pair != nil {
		errs = append(errs, c.options.pair.Close())
	}
	return errors.Join(errs...)
}

// Configure makes config the desired configuration and says what that changes.
// If tag is not empty, it must be the current ConfigTag.
func (c *Controller) Configure(ctx context.Context, config lb.Config, tag string) (result Configured, err error) {
	if err := validate(config, c.options.Planes...); err != nil {
		return Configured{}, err
	}
	done := c.do(ctx, func() {
		s := c.latest.Load().state
		if tag != "" && tag != configTag(s) {
			err = problem(http.StatusPreconditionFailed, "the configuration has changed since %s; it is %s now", tag, configTag(s))
			return
		}
		next, changes := s.configured(config)
		result = Configured{Revision: s.revision, Changes: changes}
		if len(changes) == 0 {
			return
		}
		next.configRevision = s.revision + 1
		if err = c.commit(&next); err != nil {
			return
		}
		result.Revision = next.revision
		if err = c.monitor.Set(next.config.Checks, next.targets()); err != nil {
			return
		}
		c.publish(next, revisionEvent(changes))
	})
	return result, errors.Join(done, err)
}

// SetBackend changes one backend and returns the revision that has the change.
func (c *Controller) SetBackend(ctx context.Context, service, backend string, patch BackendPatch) (revision uint64, err error) {
	done := c.do(ctx, func() {
		s := c.latest.Load().state
		next, events, refused := s.patched(service, backend, patch)
		revision = s.revision
		if err = refused; err != nil || len(events) == 0 {
			return
		}
		if err = c.commit(&next); err != nil {
			return
		}
		revision = next.revision
		c.publish(next, events...)
	})
	return revision, errors.Join(done, err)
}

// do runs f in the goroutine that owns the state and returns when it has ended.
// A command that was accepted is carried out, whatever becomes of ctx.
func (c *Controller) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case c.commands <- func() { defer close(done); f() }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ctx.Done():
		return errClosed
	}
}

// notify is the Monitor's way in.
func (c *Controller) notify(tr lb.Transition) {
	select {
	case c.transitions <- tr:
	case <-c.ctx.Done():
	}
}

// transit makes one snapshot of tr and of the transitions that wait behind it.
// Health must reach the planes even if the state cannot be written.
func (c *Controller) transit(tr lb.Transition) {
	next := c.latest.Load().state
	var events []Event
	for waiting := true; waiting && len(events) < transitionBatch; {
		var touched []string
		if next, touched = next.transitioned(tr); len(touched) > 0 {
			events = append(events, transitionEvent(tr, touched))
		}
		select {
		case tr = <-c.transitions:
		default:
			waiting = false
		}
	}
	if len(events) == 0 {
		return
	}
	if err := c.commit(&next); err != nil {
		c.events.add(Event{Kind: EventPersistFailed, Revision: next.revision, Error: err.Error(), Message: err.Error() + "; a restart would not know of this transition"})
	}
	c.publish(next, events...)
}

// commit gives s the next revision and persists it. Only after that may s be published.
func (c *Controller) commit(s *state) error {
	s.revision++
	return saveState(c.options.StateFile, c.options.Lab, *s)
}

// publish makes s what everybody sees, tells of it and hands it to the planes.
func (c *Controller) publish(s state, events ...Event) {
	v := &view{state: s, snapshot: s.snapshot()}
	c.latest.Store(v)
	for _, e := range events {
		e.Revision = s.revision
		c.events.add(e)
	}
	for _, a := range c.appliers {
		a.offer(v.snapshot, slices.Contains(s.planes, a.plane.Name))
	}
	c.changed.fire()
}

// configTag names the configuration of s for optimistic concurrency.
func configTag(s state) string { return fmt.Sprintf(`"%d"`, s.configRevision) }
