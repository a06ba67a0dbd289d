package ctl

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"lbctl/internal/lb"
	"lbctl/internal/systemd"
)

// statusPause is the least time between two changes of the status line.
const statusPause = 500 * time.Millisecond

// worker is what a standalone daemon does beside serving the API: it configures
// the Controller, reloads, and tells the service manager how things are.
type worker struct {
	config   StandaloneConfig
	notifier *systemd.Notifier
	reload   <-chan os.Signal
	log      *slog.Logger

	controller *Controller
	owed       *attempt // a Ready that waits for the plane
	refused    string   // why the last reload was, if it was
	told       string   // the last status line
}

// attempt is a revision that a plane has yet to try.
type attempt struct {
	revision uint64
	failures uint64 // of the plane, before
}

func (w *worker) run(ctx context.Context, c *Controller) error {
	w.controller = c
	if err := w.configure(ctx, w.config.Config); err != nil {
		return err
	}
	defer func() { w.tell(w.notifier.Stopping(w.ending())) }()
	watchdog, stop := ticks(w.notifier.Watchdog() / 2)
	defer stop()
	pause, pausing := time.NewTimer(0), true
	defer pause.Stop()
	changed := c.changed.wait() // before looking, so that nothing slips between
	for {
		w.ready()
		select {
		case <-ctx.Done():
			return nil
		case <-w.reload:
			w.reloadNow(ctx)
		case <-watchdog:
			w.alive(ctx)
		case <-changed:
			changed = c.changed.wait()
			if !pausing { // a burst of changes is one
				pause.Reset(statusPause)
				pausing = true
			}
		case <-pause.C:
			pausing = false
			w.status()
		}
	}
}

// ticks is a ticker that never ticks if its interval is 0.
func ticks(d time.Duration) (c <-chan time.Time, stop func()) {
	if d == 0 {
		return nil, func() {}
	}
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// configure owes a Ready for when the plane has tried what changes.
func (w *worker) configure(ctx context.Context, config lb.Config) error {
	plane := w.controller.planes()[0]
	configured, err := w.controller.Configure(ctx, config, "")
	if err != nil {
		return err
	}
	w.owed = &attempt{configured.Revision, plane.Failures}
	if len(configured.Changes) == 0 && plane.State == PlaneFailing {
		w.owed.revision = 0 // it has tried
	}
	return nil
}

// ready pays what is owed. A plane that has failed to apply a revision forwards
// what it could, and goes on trying: a start or reload does not wait for a
// backend that is dead.
func (w *worker) ready() {
	if w.owed == nil {
		return
	}
	plane := w.controller.planes()[0]
	if plane.Applied < w.owed.revision && plane.Failures == w.owed.failures {
		return
	}
	w.owed = nil
	w.told = w.line()
	w.tell(w.notifier.Ready(w.told))
}

// reloadNow takes the file's configuration whole, or nothing of it.
func (w *worker) reloadNow(ctx context.Context) {
	w.tell(w.notifier.Reloading())
	config, err := w.config.Load()
	if err == nil {
		err = w.configure(ctx, config)
	}
	w.refused = ""
	if err == nil || ctx.Err() != nil {
		return
	}
	w.refused, _, _ = strings.Cut(err.Error(), "\n")
	w.controller.events.add(Event{
		Kind: EventReloadRefused, Revision: w.controller.latest.Load().revision, Error: err.Error(),
		Message: "reload refused, all stays as it is: " + w.refused,
	})
	if w.owed == nil {
		w.told = w.line()
		w.tell(w.notifier.Ready(w.told))
	}
}

// alive pings the watchdog if the goroutine that owns the state answers.
func (w *worker) alive(ctx context.Context) {
	if w.controller.do(ctx, func() {}) == nil {
		w.tell(w.notifier.Alive())
	}
}

func (w *worker) status() {
	if line := w.line(); line != w.told && w.owed == nil {
		w.told = line
		w.tell(w.notifier.Status(line))
	}
}

// line sums up how things are.
func (w *worker) line() string {
	v := w.controller.latest.Load()
	backends, up := 0, 0
	for _, svc := range v.snapshot.Services {
		for _, b := range svc.Backends {
			backends++
			if b.Health == lb.Up {
				up++
			}
		}
	}
	line := fmt.Sprintf("revision %d: services %d, backends %d of %d up", v.revision, len(v.snapshot.Services), up, backends)
	if p := w.controller.planes()[0]; p.State == PlaneFailing {
		line += "; " + p.LastError
	}
	if w.refused != "" {
		line += "; reload refused: " + w.refused
	}
	return line
}

func (w *worker) ending() string {
	if w.config.Flush {
		return "ends, and forwarding with it"
	}
	return "ends; forwarding goes on"
}

// tell is for what the service manager is told: that it cannot be reached is no
// reason to stop.
func (w *worker) tell(err error) {
	if err != nil {
		w.log.Warn("notify", "error", err)
	}
}
