package l7

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"lbctl/internal/lb"
)

// errStopping is what Apply says while the proxy finishes its last requests.
var errStopping = errors.New("the proxy is stopping")

// proxy is the data plane of one process.
type proxy struct {
	log     *slog.Logger
	table   atomic.Pointer[table] // what requests read
	applied atomic.Uint64         // revision of the last snapshot in force whole

	mu       sync.Mutex // serializes apply and stop
	fronts   map[netip.AddrPort]*frontend
	stopping bool
	closing  sync.WaitGroup // removed frontends with requests in flight
}

func newProxy(log *slog.Logger) *proxy {
	p := &proxy{log: log, fronts: map[netip.AddrPort]*frontend{}}
	p.table.Store(&table{byVIP: map[netip.AddrPort]*service{}})
	return p
}

// apply brings a snapshot into force, whole or not at all: whatever can fail is
// done before the first request sees any of it.
func (p *proxy) apply(s lb.Snapshot) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		return errStopping
	}
	old := p.table.Load()
	next, err := newTable(s, old)
	if err != nil {
		return err
	}
	opened, err := p.open(next)
	if err != nil {
		return err
	}
	next.wake()
	p.table.Store(next)
	for vip, f := range opened {
		p.fronts[vip] = f
	}
	for vip, f := range p.fronts {
		if svc := next.byVIP[vip]; svc != nil {
			f.serve(svc)
		} else {
			p.remove(f)
		}
	}
	next.settle(old)
	p.applied.Store(s.Revision)
	p.log.Info("snapshot applied", "revision", s.Revision, "services", len(next.services))
	return nil
}

// open listens at the addresses that are new in t: at all or at none.
func (p *proxy) open(t *table) (map[netip.AddrPort]*frontend, error) {
	opened := map[netip.AddrPort]*frontend{}
	for _, s := range t.services {
		vip := s.VIP.Addr
		if p.fronts[vip] != nil {
			continue
		}
		f, err := openFrontend(p, vip)
		if err != nil {
			for _, f := range opened {
				f.listener.Close()
			}
			return nil, fmt.Errorf("service %s: listen on %s: %w", s.Name, vip, cause(err))
		}
		opened[vip] = f
	}
	return opened, nil
}

// remove takes a frontend out of service. Its requests in flight finish behind
// the scenes.
func (p *proxy) remove(f *frontend) {
	delete(p.fronts, f.vip)
	f.listener.Close() // now, so that the address is free when apply returns
	p.closing.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), removalDeadline)
		defer cancel()
		f.close(ctx)
	})
}

// stop refuses further snapshots, stops listening, and returns when every
// request in flight is answered or ctx has ended.
func (p *proxy) stop(ctx context.Context) {
	p.mu.Lock()
	p.stopping = true
	fronts := p.fronts
	p.fronts = map[netip.AddrPort]*frontend{}
	p.mu.Unlock()
	var all sync.WaitGroup
	for _, f := range fronts {
		all.Go(func() { f.close(ctx) })
	}
	all.Wait()
	finished := make(chan struct{})
	go func() {
		p.closing.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-ctx.Done():
	}
	(&table{}).settle(p.table.Load())
}

func (p *proxy) stats() lb.Stats {
	// The revision first: a table that comes meanwhile may be newer, never older.
	revision := p.applied.Load()
	return lb.Stats{Revision: revision, Services: p.table.Load().stats()}
}
