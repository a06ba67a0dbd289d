package e2e

import (
	"context"
	"net/netip"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"lbctl/ctl"
	"lbctl/internal/lb"
	"lbctl/internal/scenario"
	"lbctl/internal/traffic"
)

const failover = `
name: failover
servers: 3
checks:
  web: {path: /healthz, interval: 500ms, fast_interval: 200ms, timeout: 300ms, rise: 2, fall: 3}
services:
  web-l4: {plane: l4, policy: wrr, check: web}
  web-l7: {plane: l7, policy: wrr, check: web}
`

// detection is the longest that a dead server may still get something:
// fall × interval + one timeout.
const detection = 3*500*time.Millisecond + 300*time.Millisecond

func TestAKilledServerLeavesBothPlanesAndComesBack(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("failover.yaml", failover)
	w.lbctl("up", file)
	l := w.open("failover")

	load := startLoad(t, l, "web-l4", "web-l7")
	eventually(t, 10*time.Second, "s2 gets work from both planes", func() bool {
		return l.taken(t, "web-l4", "s2") > 50 && l.taken(t, "web-l7", "s2") > 50
	})

	killed := time.Now()
	for _, s := range l.Servers() {
		if s.Node == "s2" {
			if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	last := l.lastTaken(t, "s2", killed.Add(detection+2*time.Second), "web-l4", "web-l7")
	for service, at := range last.at {
		if after := at.Sub(killed); after > detection {
			t.Errorf("%s still sent to s2 %v after it was killed, more than %v", service, after, detection)
		} else {
			t.Logf("%s: last sent to s2 %v after it was killed; the bound is %v", service, after, detection)
		}
	}

	if out := w.lbctl("up", file); out == "" {
		t.Error("up said nothing about the server it started again")
	}
	eventually(t, 10*time.Second, "both planes use s2 again", func() bool {
		svc4, svc7 := l.service(t, "web-l4"), l.service(t, "web-l7")
		b4, _ := svc4.Backend("s2")
		b7, _ := svc7.Backend("s2")
		return b4.Health == lb.Up && b7.Health == lb.Up &&
			b4.Counters.Connections > last.counts["web-l4"]+50 && b7.Counters.Requests > last.counts["web-l7"]+50
	})

	results := load.wait()
	for service, r := range results {
		if r.Requests < 2000 {
			t.Errorf("only %d requests of %s were answered, of 4000 due", r.Requests, service)
		}
	}
	if r := results["web-l7"]; r.Failed() > 0 {
		t.Errorf("clients of L7 saw errors: %v in %d requests", r.Errors, r.Requests)
	}
	t.Logf("clients of L4 saw %v in %d requests", results["web-l4"].Errors, results["web-l4"].Requests)
	wantTransitions(t, l, "s2", lb.Down, lb.Up)
}

// wantTransitions: each change of s2's health is one event, though two services share it.
func wantTransitions(t *testing.T, l *openLab, backend string, want ...lb.Health) {
	t.Helper()
	events, err := l.client.PastEvents(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []lb.Health
	for _, e := range events {
		if e.Kind != ctl.EventTransition || e.Transition.From == lb.Unknown {
			continue
		}
		svc, _ := l.status(t).Service("web-l4")
		if b, _ := svc.Backend(backend); b.Addr == e.Transition.Addr {
			got = append(got, e.Transition.To)
			if len(e.Touched) != 2 {
				t.Errorf("transition to %v touches %v, want the backend in both services", e.Transition.To, e.Touched)
			}
		}
	}
	if len(got) != len(want) {
		t.Fatalf("transitions of %s: %v, want %v", backend, got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("transitions of %s: %v, want %v", backend, got, want)
		}
	}
}

// taken is how much a service has given to a backend.
func (l *openLab) taken(t *testing.T, service, backend string) uint64 {
	t.Helper()
	b, _ := l.service(t, service).Backend(backend)
	if b.Counters.Requests > 0 {
		return b.Counters.Requests
	}
	return b.Counters.Connections
}

type lastTimes struct {
	at     map[string]time.Time
	counts map[string]uint64
}

// lastTaken watches until a moment and returns when each service last gave
// something to the backend.
func (l *openLab) lastTaken(t *testing.T, backend string, until time.Time, services ...string) (last lastTimes) {
	t.Helper()
	last = lastTimes{counts: map[string]uint64{}, at: map[string]time.Time{}}
	for time.Now().Before(until) {
		asked := time.Now()
		for _, s := range services {
			if n := l.taken(t, s, backend); n > last.counts[s] {
				last.counts[s], last.at[s] = n, asked
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return last
}

// loads are generators that run for loadTime.
type loads struct {
	wg      sync.WaitGroup
	mu      sync.Mutex
	results map[string]traffic.Result
}

// loadTime is long enough for a death, its detection and a resurrection.
const loadTime = 10 * time.Second

// startLoad puts a new connection per request on L4, so that each request is a
// choice, and keep-alive on L7, where each request is one anyway.
func startLoad(t *testing.T, l *openLab, services ...string) *loads {
	t.Helper()
	ls := &loads{results: map[string]traffic.Result{}}
	for _, name := range services {
		svc := l.service(t, name)
		load := traffic.Load{
			Targets: []netip.AddrPort{svc.VIP.Addr}, Connections: 4, Rate: 400,
			KeepAlive: svc.Plane == lb.L7, Path: "/", Duration: loadTime, Timeout: 3 * time.Second,
		}
		ls.wg.Add(1)
		go func() {
			defer ls.wg.Done()
			r, err := generate(t.Context(), l, load)
			if err != nil {
				t.Errorf("load on %s: %v", name, err)
			}
			ls.mu.Lock()
			ls.results[name] = r
			ls.mu.Unlock()
		}()
	}
	return ls
}

func (ls *loads) wait() map[string]traffic.Result {
	ls.wg.Wait()
	return ls.results
}

func generate(ctx context.Context, l *openLab, load traffic.Load) (traffic.Result, error) {
	for _, n := range l.Topology().Nodes {
		if n.Role != scenario.RoleClient {
			continue
		}
		node, err := l.Node(n.Name)
		if err != nil {
			return traffic.Result{}, err
		}
		defer node.Close()
		return traffic.RunProcess(ctx, func(cmd *exec.Cmd) error { return node.Start(cmd) }, binary, load, nil)
	}
	return traffic.Result{}, context.Canceled
}
