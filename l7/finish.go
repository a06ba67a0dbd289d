package l7

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"lbctl/internal/supervise"
)

// trial is how long a master that has taken over is watched by the one before it, which
// goes on in its place if it dies in that time.
const trial = 3 * time.Second

// finish ends the proxy: nobody new is let in, and the workers have stopDeadline for what is
// in flight. TERM, or the end of ctx, ends them at once. A master before this one, which
// still finishes, does likewise, and is waited for.
func (p *processes) finish(ctx context.Context, commands <-chan supervise.Command) {
	ctx, cancel := context.WithTimeout(ctx, stopDeadline+2*stopGrace)
	defer cancel()
	go func() {
		for c := range commands {
			if c == supervise.CommandTerminate {
				cancel()
			}
		}
	}()
	p.predecessor.Signal(syscall.SIGQUIT)
	p.Drain(stopDeadline)
	p.shut()
	p.Quit(ctx, stopDeadline)
	p.predecessor.Wait(ctx)
	if ctx.Err() != nil {
		p.predecessor.Signal(syscall.SIGTERM)
	}
}

// terminate ends the proxy at once, and what a master before it still finishes.
func (p *processes) terminate() {
	p.predecessor.Signal(syscall.SIGTERM)
	p.shut()
	p.Terminate()
}

// shut takes no snapshot any more, and no client as far as this process goes.
func (p *processes) shut() {
	p.master.stop()
	p.master.listeners.Close()
}

// giveWay has the workers finish what is in flight beside those of the master that has
// taken over. They have the drain timeout, as long as that master lives, and stopDeadline
// from its end. It reports whether this master is to go on instead, since the other one has
// died in its trial; else they have ended when it returns.
func (p *processes) giveWay(ctx context.Context, commands <-chan supervise.Command, door *door, next *supervise.Successor) (back bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	door.handOver()
	p.Drain(p.shape.DrainTimeout)
	ended, finished, passed := next.Ended(), p.finished(ctx), time.After(trial)
	leave := func() { // for good
		passed = nil
		door.letGo()
		p.shut()
	}
	for passed != nil || finished != nil {
		select {
		case <-finished:
			finished = nil
		case <-passed:
			leave()
		case <-ended:
			if err := next.Died(); err != nil && passed != nil {
				p.master.log.Error("the new master has died in its trial; this one goes on", "error", err)
				return true
			}
			ended = nil
			leave()
			p.predecessor.Signal(syscall.SIGQUIT)
			p.Drain(stopDeadline)
		case c, ok := <-commands:
			switch {
			case !ok, c == supervise.CommandTerminate:
				p.terminate()
				return false
			case c == supervise.CommandQuit:
				leave()
				p.predecessor.Signal(syscall.SIGQUIT)
				p.Drain(stopDeadline)
			case c == supervise.CommandReopen:
				p.command(ctx, c, door)
			}
		}
	}
	return false
}

// finished is closed when no worker is left, nor the master before this one, to whom nobody
// else would say what becomes of the newest; unless ctx ends before.
func (p *processes) finished(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		if p.Wait(ctx) != nil {
			return
		}
		p.predecessor.Wait(ctx)
		if ctx.Err() == nil {
			close(done)
		}
	}()
	return done
}

// goOn undoes what giveWay has begun. Workers that were told to finish do; others take
// their place. Meanwhile clients wait at the listening sockets.
func (p *processes) goOn(ctx context.Context, door *door) error {
	if err := door.takeBack(); err != nil {
		return fmt.Errorf("take the control socket back: %w", err)
	}
	p.master.hand(false)
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := p.reload(ctx); err != nil {
		return fmt.Errorf("go on in the place of a new master: %w", err)
	}
	return nil
}
