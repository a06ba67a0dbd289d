package l7

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"sync"
	"sync/atomic"

	"lbctl/internal/lb"
)

// Options say where the proxy process lives and how to start it.
type Options struct {
	Socket  string                // of the control endpoint; at most 107 bytes, in a folder that only root may enter
	LogFile string                // takes the process's standard output and error
	Shape   Shape                 // one that runs in another shape is replaced; nothing is dropped
	Self    string                // the lbctl binary, run as `lbctl l7-proxy --socket SOCKET`
	Start   func(*exec.Cmd) error // starts it inside the balancer's namespace; nil: here
	Log     *slog.Logger          // nil: slog.Default
}

// Plane is the daemon's handle on the proxy process. It keeps one running, and
// keeps the last snapshot in force in it. Its methods are safe for concurrent use.
type Plane struct {
	options Options
	client  *client
	pid     atomic.Int64
	running atomic.Pointer[processInfo] // the last that was adopted
	ejected ejected

	busy chan struct{} // holds a token while a snapshot is on its way to the proxy
	last *lb.Snapshot  // applied whole; only the holder of the token touches it

	cancel context.CancelFunc // ends the keeper
	keeper sync.WaitGroup
}

// Open adopts the proxy that answers at the socket, else starts one. An adopted
// proxy forwards on without a break.
func Open(o Options) (*Plane, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Start == nil {
		o.Start = (*exec.Cmd).Start
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Plane{options: o, client: newClient(o.Socket), busy: make(chan struct{}, 1), cancel: cancel}
	link, err := p.connect(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	if link, err = p.intoShape(ctx, link); err != nil {
		cancel()
		return nil, err
	}
	if s, err := p.client.snapshot(ctx); err == nil && s.Revision > 0 {
		p.last = &s
	}
	p.keeper.Go(func() { p.keep(ctx, link) })
	return p, nil
}

// Apply brings the L7 services of s into force, whole or not at all; on an error
// the last good snapshot goes on forwarding. Snapshots are applied one at a time.
func (p *Plane) Apply(ctx context.Context, s lb.Snapshot) error {
	select {
	case p.busy <- struct{}{}:
		defer func() { <-p.busy }()
	case <-ctx.Done():
		return fmt.Errorf("apply snapshot %d: %w", s.Revision, ctx.Err())
	}
	if err := p.client.apply(ctx, s); err != nil {
		return fmt.Errorf("apply snapshot %d: %w", s.Revision, err)
	}
	p.last = &s
	return nil
}

// Stats reads the proxy's counters. They count since the process started: one
// that died takes its counters along.
func (p *Plane) Stats() (lb.Stats, error) {
	s, err := p.client.stats(context.Background())
	if err != nil {
		return lb.Stats{}, fmt.Errorf("read l7 stats: %w", err)
	}
	return s, nil
}

// Workers says what each worker process and thread does.
func (p *Plane) Workers(ctx context.Context) (Workers, error) {
	w, err := p.client.workers(ctx)
	if err != nil {
		return w, fmt.Errorf("read l7 workers: %w", err)
	}
	return w, nil
}

// PID is the proxy process's id, 0 while there is none. A measurement reads its
// CPU time.
func (p *Plane) PID() int { return int(p.pid.Load()) }

// Running is the shape of the proxy that was adopted last and, of model loop, what
// kind of event loop it has and why.
func (p *Plane) Running() (s Shape, loop string) {
	info := p.running.Load()
	return info.Shape, info.Loop
}

// Close lets go of the proxy, which forwards on; nobody restarts it then.
func (p *Plane) Close() error {
	p.cancel()
	p.keeper.Wait()
	return nil
}
