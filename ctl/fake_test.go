package ctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"lbctl/internal/lb"
)

var errInjected = errors.New("injected fault")

// fakePlane keeps what it is given. fail decides which calls of Apply fail, by number from 1.
type fakePlane struct {
	name lb.Plane
	fail func(call int) bool
	gate chan struct{} // if not nil, Apply takes one token

	mu      sync.Mutex
	calls   int
	faults  int
	applied []lb.Snapshot
	closed  bool
	stats   func() (lb.Stats, error)
	ejected func(lb.Ejection)
}

func (p *fakePlane) OnEjection(f func(lb.Ejection)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ejected = f
}

// eject tells of an ejection.
func (p *fakePlane) eject(e lb.Ejection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ejected(e)
}

func (p *fakePlane) Apply(ctx context.Context, s lb.Snapshot) error {
	if p.gate != nil {
		select {
		case <-p.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.fail != nil && p.fail(p.calls) {
		p.faults++
		return fmt.Errorf("call %d: %w", p.calls, errInjected)
	}
	p.applied = append(p.applied, s)
	return nil
}

func (p *fakePlane) Stats() (lb.Stats, error) {
	if p.stats != nil {
		return p.stats()
	}
	s := p.last()
	stats := lb.Stats{Revision: s.Revision}
	for _, svc := range s.Services {
		if svc.Plane != p.name {
			continue
		}
		counted := lb.ServiceStats{Name: svc.Name, Counters: lb.Counters{Connections: 10}}
		for _, b := range svc.Backends {
			counted.Backends = append(counted.Backends, lb.BackendStats{ID: b.ID, Name: b.Name, Counters: lb.Counters{Active: uint64(b.ID)}})
		}
		stats.Services = append(stats.Services, counted)
	}
	return stats, nil
}

func (p *fakePlane) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}

// failNext makes the next n calls of Apply fail.
func (p *fakePlane) failNext(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := p.calls + n
	p.fail = func(call int) bool { return call <= until }
}

// last returns the snapshot in force.
func (p *fakePlane) last() lb.Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.applied) == 0 {
		return lb.Snapshot{}
	}
	return p.applied[len(p.applied)-1]
}

func (p *fakePlane) plane() Plane {
	return Plane{Name: p.name, Open: func(context.Context) (DataPlane, error) { return p, nil }}
}

// fakeNet refuses connections to the addresses in it.
type fakeNet struct {
	mu   sync.Mutex
	dead map[string]bool
}

func (n *fakeNet) kill(addr netip.AddrPort, dead bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dead == nil {
		n.dead = map[string]bool{}
	}
	n.dead[addr.String()] = dead
}

func (n *fakeNet) dial(_ context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dead[addr] {
		return nil, errors.New("refused")
	}
	conn, _ := net.Pipe()
	return conn, nil
}

// fixture is a Controller with two fake planes.
type fixture struct {
	*Controller
	net    *fakeNet
	l4, l7 *fakePlane
	file   string
}

func testOptions(f *fixture) Options {
	return Options{
		Lab: "test", StateFile: f.file, Dial: f.net.dial,
		Planes: []Plane{f.l4.plane(), f.l7.plane()}, Log: slog.New(slog.DiscardHandler),
	}
}

// newFixture starts a Controller; adjust may change the planes before.
func newFixture(t *testing.T, adjust func(*fixture)) *fixture {
	t.Helper()
	f := &fixture{
		net: &fakeNet{}, l4: &fakePlane{name: lb.L4}, l7: &fakePlane{name: lb.L7},
		file: filepath.Join(t.TempDir(), "state.json"),
	}
	if adjust != nil {
		adjust(f)
	}
	f.start(t)
	return f
}

func (f *fixture) start(t *testing.T) {
	t.Helper()
	c, err := New(testOptions(f))
	if err != nil {
		t.Fatal(err)
	}
	f.Controller = c
	t.Cleanup(func() { _ = c.Close() })
}

func (f *fixture) configure(t *testing.T, config lb.Config) Configured {
	t.Helper()
	result, err := f.Configure(t.Context(), config, "")
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// settle waits until the planes have what is newest and all checks have judged.
func (f *fixture) settle(t *testing.T) {
	t.Helper()
	if err := f.Wait(t.Context(), WaitRequest{Healthy: true, Timeout: 5 * time.Minute}); err != nil {
		t.Fatal(err)
	}
}

// past returns the events so far, of the given kinds only if there are any.
func (f *fixture) past(kinds ...EventKind) []Event {
	var past []Event
	_ = f.Follow(context.Background(), 0, false, func(events []Event) error {
		for _, e := range events {
			for _, k := range kinds {
				if e.Kind == k {
					past = append(past, e)
				}
			}
			if len(kinds) == 0 {
				past = append(past, e)
			}
		}
		return nil
	})
	return past
}

func (f *fixture) planeStatus(name lb.Plane) PlaneStatus {
	for _, p := range f.planes() {
		if p.Name == name {
			return p
		}
	}
	return PlaneStatus{}
}

// server returns the address of the nth server.
func server(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 4, byte(n)}), 80)
}

// testConfig is two services, one in each plane, over the same servers and the same check.
func testConfig(servers int) lb.Config {
	var backends []lb.Backend
	for i := 1; i <= servers; i++ {
		backends = append(backends, lb.Backend{Name: fmt.Sprintf("s%d", i), Addr: server(i), Weight: 1})
	}
	vip := func(n byte) lb.VIP {
		return lb.VIP{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 3, n}), 80), Proto: lb.TCP}
	}
	return lb.Config{
		Services: []lb.Service{
			{Name: "web-l4", Plane: lb.L4, VIP: vip(1), Forward: lb.DirectRouting, Policy: lb.Maglev, Check: "tcp", Backends: backends},
			{Name: "web-l7", Plane: lb.L7, VIP: vip(2), Policy: lb.WeightedRoundRobin, Check: "tcp", Backends: append([]lb.Backend(nil), backends...)},
		},
		Checks: []lb.Check{{
			Name: "tcp", Kind: lb.CheckTCP, Interval: time.Second, FastInterval: 250 * time.Millisecond,
			Timeout: 500 * time.Millisecond, Rise: 2, Fall: 3,
		}},
	}
}

func ptr[T any](v T) *T { return &v }
