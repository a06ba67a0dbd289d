package l7

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	startTimeout  = 10 * time.Second       // until a started process answers
	pollInterval  = 5 * time.Millisecond   // while it does not yet
	longestPoll   = 200 * time.Millisecond // of what may take hours
	firstBrake    = 100 * time.Millisecond // before the second restart in a row
	longestBrake  = 10 * time.Second
	healthyUptime = 10 * time.Second // a process that lived longer restarts without a brake
)

// keep watches the proxy at link and, whenever it dies, starts another one and
// gives it the last snapshot. Restarts in a row are slowed down, twice as long
// each time, unless it was told to end.
func (p *Plane) keep(ctx context.Context, link *lifeline) {
	var brake time.Duration
	for {
		born := time.Now()
		p.watch(ctx, link)
		level, how := slog.LevelInfo, p.departure(ctx)
		if ctx.Err() != nil {
			return
		}
		if how == hasDied {
			level = slog.LevelWarn
		}
		p.options.Log.Log(ctx, level, "l7 proxy "+how, "pid", p.pid.Swap(0), "uptime", time.Since(born).Round(time.Millisecond))
		if how != hasDied || time.Since(born) > healthyUptime {
			brake = 0
		}
		for link = nil; link == nil; {
			select {
			case <-time.After(brake):
			case <-ctx.Done():
				return
			}
			brake = min(max(2*brake, firstBrake), longestBrake)
			link = p.revive(ctx)
		}
	}
}

// How a proxy goes.
const (
	hasDied       = "died"
	hasEnded      = "has ended as it was told to"
	hasHandedOver = "has handed over to another"
)

// departure says how the proxy went that was watched. One that ends by itself removes
// its control socket before it lets go of who watches, unless another has it by then
// and answers there; one that was killed leaves it behind, and nobody answers: who
// connects in the moment in which the kernel closes its descriptors is let go of, too.
func (p *Plane) departure(ctx context.Context) string {
	info, link, err := p.client.watch(ctx)
	if err == nil {
		link.Close()
	}
	switch {
	case err == nil && info.PID != p.PID():
		return hasHandedOver
	case errors.Is(err, syscall.ENOENT):
		return hasEnded
	}
	return hasDied
}

// watch returns when the process at the other end of link is dead or ctx ends.
func (p *Plane) watch(ctx context.Context, link *lifeline) {
	stop := context.AfterFunc(ctx, func() { link.Close() })
	defer stop()
	defer link.Close()
	link.follow(p.ejected.add)
}

// revive starts or adopts a proxy and restores the last snapshot in it. It
// returns nil if that failed and is to be tried again.
func (p *Plane) revive(ctx context.Context) *lifeline {
	select {
	case p.busy <- struct{}{}:
		defer func() { <-p.busy }()
	case <-ctx.Done():
		return nil
	}
	link, err := p.connect(ctx)
	if err != nil {
		if ctx.Err() == nil {
			p.options.Log.Error("l7 proxy does not start", "err", err)
		}
		return nil
	}
	if p.last == nil {
		return link
	}
	if err := p.client.apply(ctx, *p.last); err != nil {
		// The dead process may still be letting go of its sockets. Without the link
		// keep comes here again and adopts the new process.
		p.options.Log.Error("l7 proxy restarted without its snapshot", "revision", p.last.Revision, "err", err)
		link.Close()
		return nil
	}
	p.options.Log.Info("l7 proxy forwards again", "pid", p.PID(), "revision", p.last.Revision)
	return link
}

// connect adopts the proxy at the socket or starts one, and returns the link to
// watch it by.
func (p *Plane) connect(ctx context.Context) (*lifeline, error) {
	if link, err := p.adopt(ctx); err == nil {
		return link, nil
	}
	exited, err := p.spawn()
	if err != nil {
		return nil, fmt.Errorf("start l7 proxy: %w", err)
	}
	deadline := time.After(startTimeout)
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		// One that started at the same time elsewhere will do as well.
		if link, err := p.adopt(ctx); err == nil {
			return link, nil
		}
		select {
		case err := <-exited:
			return nil, fmt.Errorf("start l7 proxy: it ended (%w), see %s", err, p.options.LogFile)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-deadline:
			return nil, fmt.Errorf("start l7 proxy: no answer at %s within %s", p.options.Socket, startTimeout)
		case <-poll.C:
		}
	}
}

// adopt links to the proxy that answers at the socket. The link lives until ctx
// ends.
func (p *Plane) adopt(ctx context.Context) (*lifeline, error) {
	info, link, err := p.client.watch(ctx)
	if err != nil {
		return nil, err
	}
	p.running.Store(&info)
	p.pid.Store(int64(info.PID))
	return link, nil
}

// spawn starts a process of its own session, so that no signal to the daemon's
// group or terminal reaches it. The channel gets how it ended.
func (p *Plane) spawn() (<-chan error, error) {
	log, err := os.OpenFile(p.options.LogFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(p.options.Self, proxyArgs(p.options.Socket, p.options.Shape)...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.options.Start(cmd); err != nil {
		return nil, err
	}
	exited := make(chan error, 1)
	go func() { // reaps it; ends with the process or the daemon
		err := cmd.Wait()
		if err == nil {
			err = errors.New("exit status 0")
		}
		exited <- err
	}()
	return exited, nil
}
