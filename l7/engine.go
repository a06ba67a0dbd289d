package l7

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
	"lbctl/internal/loop"
	"lbctl/internal/proxy"
)

// errStopping is what Apply says while the proxy finishes its last requests.
var errStopping = errors.New("the proxy is stopping")

// engine is the data plane of one process: its event loops and the addresses that
// they listen at.
type engine struct {
	log     *slog.Logger
	loops   []*looper
	table   atomic.Pointer[table]
	applied atomic.Uint64 // revision of the last snapshot in force whole

	mu       sync.Mutex // serializes apply and stop
	fronts   map[netip.AddrPort]*front
	stopping bool
	closing  sync.WaitGroup // removed fronts with requests in flight
}

// front is a VIP with its listening socket, which every loop accepts from.
type front struct {
	proxy.Front
	fd        int
	listeners []*loop.Listener // by loop
}

func newEngine(log *slog.Logger, loops int, kind loop.Kind) (*engine, error) {
	e := &engine{log: log, fronts: map[netip.AddrPort]*front{}}
	e.table.Store(&table{byVIP: map[netip.AddrPort]*proxy.Service{}})
	for range loops {
		w, err := newLooper(kind, rand.Uint64())
		if err != nil {
			e.halt()
			return nil, fmt.Errorf("make event loop: %w", err)
		}
		e.loops = append(e.loops, w)
	}
	return e, nil
}

// apply brings a snapshot into force, whole or not at all: whatever can fail is
// done before the first request sees any of it.
func (e *engine) apply(s lb.Snapshot) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return errStopping
	}
	next, err := newTable(s, e.table.Load())
	if err != nil {
		return err
	}
	opened, err := e.open(next)
	if err != nil {
		return err
	}
	// First, so that no request finds a pool that closes its connection.
	e.onLoops(func(_ int, w *looper) { w.core.Wake(next.services) })
	e.table.Store(next)
	for vip, f := range opened {
		e.fronts[vip] = f
	}
	for vip, f := range e.fronts {
		if svc := next.byVIP[vip]; svc != nil {
			f.Serve(svc)
		} else {
			e.remove(f)
		}
	}
	e.onLoops(func(_ int, w *looper) { w.core.Settle(next.services) })
	e.accept(opened)
	e.applied.Store(s.Revision)
	e.log.Info("snapshot applied", "revision", s.Revision, "services", len(next.services))
	return nil
}

// open makes the sockets of the addresses that are new in t: all or none.
func (e *engine) open(t *table) (map[netip.AddrPort]*front, error) {
	opened := map[netip.AddrPort]*front{}
	for _, s := range t.services {
		vip := s.VIP.Addr
		if e.fronts[vip] != nil {
			continue
		}
		fd, err := listen(vip)
		if err != nil {
			for _, f := range opened {
				unix.Close(f.fd)
			}
			return nil, fmt.Errorf("service %s: listen on %s: %w", s.Name, vip, err)
		}
		opened[vip] = &front{Front: proxy.Front{VIP: vip}, fd: fd, listeners: make([]*loop.Listener, len(e.loops))}
	}
	return opened, nil
}

// accept begins to take clients.
func (e *engine) accept(opened map[netip.AddrPort]*front) {
	e.onLoops(func(i int, w *looper) {
		for _, f := range opened {
			var err error
			if f.listeners[i], err = w.listen(f); err != nil {
				e.log.Error("accept", "vip", f.VIP, "error", err)
			}
		}
	})
}

// remove takes a front out of service. Its requests in flight finish behind the
// scenes.
func (e *engine) remove(f *front) {
	delete(e.fronts, f.VIP)
	e.leave(f)
	e.closing.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), removalDeadline)
		defer cancel()
		e.drain(ctx, f)
	})
}

// leave stops accepting. The address is free when it returns.
func (e *engine) leave(f *front) {
	f.Close()
	e.onLoops(func(i int, w *looper) {
		if f.listeners[i] != nil {
			f.listeners[i].Close()
		}
		w.core.Drain(&f.Front)
	})
	unix.Close(f.fd)
}

// drain waits until a front has no clients any more, or cuts them off when ctx ends.
func (e *engine) drain(ctx context.Context, f *front) {
	for ctx.Err() == nil {
		left := atomic.Int64{}
		e.onLoops(func(_ int, w *looper) { left.Add(int64(w.core.ClientsOf(&f.Front))) })
		if left.Load() == 0 {
			return
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
		}
	}
	e.onLoops(func(_ int, w *looper) { w.core.Cut(&f.Front) })
}

// onLoops has every loop run f, and waits until all have.
func (e *engine) onLoops(f func(i int, w *looper)) {
	for i, w := range e.loops {
		w.do(func() { f(i, w) })
	}
}

// stop refuses further snapshots, stops listening, and returns when every
// request in flight is answered or ctx has ended.
func (e *engine) stop(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopping = true
	for _, f := range e.fronts {
		e.leave(f)
	}
	for _, f := range e.fronts {
		e.drain(ctx, f)
	}
	clear(e.fronts)
	finished := make(chan struct{})
	go func() {
		e.closing.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-ctx.Done():
	}
	e.halt()
}

// halt ends the loops.
func (e *engine) halt() {
	for _, w := range e.loops {
		if err := w.stop(); err != nil {
			e.log.Error("event loop", "error", err)
		}
	}
}

func (e *engine) stats() lb.Stats {
	// The revision first: a table that comes meanwhile may be newer, never older.
	revision := e.applied.Load()
	return lb.Stats{Revision: revision, Services: e.table.Load().stats()}
}
