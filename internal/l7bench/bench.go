package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// measurement is one engine under one case in one round.
type measurement struct {
	Case     string        `json:"case"`
	Engine   string        `json:"engine"`
	Round    int           `json:"round"`
	Requests int           `json:"requests"`
	Rate     float64       `json:"rate"`    // requests per second
	CPU      time.Duration `json:"cpu"`     // of the balancer, per request
	User     time.Duration `json:"user"`    // of that, outside the kernel
	Machine  time.Duration `json:"machine"` // of the whole machine, per request
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
	Memory   int64         `json:"memory"`             // bytes
	PerIdle  int64         `json:"per_idle,omitempty"` // bytes per idle connection
	Syscalls float64       `json:"syscalls,omitempty"` // per request
	Errors   int           `json:"errors,omitempty"`   // of the generator
}

type bench struct {
	options
	dir      string
	site     site
	backends *running
}

func newBench(o options) (*bench, error) {
	for _, tool := range []string{"wrk", "nginx"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%w: install it (apt-get install nginx-light haproxy apache2 wrk)", err)
		}
	}
	dir, err := os.MkdirTemp("", "l7bench")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the peers' workers are nobody
		return nil, err
	}
	self, err := filepath.Abs(o.self)
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, dir: dir, site: site{
		Dir: dir, Workers: o.workers, Clients: perThread + spare, Processes: 2, Threads: (perThread + spare) / 2, self: self,
	}}
	for range 2 {
		b.site.Backends = append(b.site.Backends, freePort())
	}
	if err := os.WriteFile(dir+"/64k", make([]byte, 64<<10), 0o644); err != nil {
		return nil, err
	}
	cmd, err := configured("nginx", "conf/backend.conf", b.site, "-c")
	if err != nil {
		return nil, err
	}
	b.backends, err = start(context.Background(), "backends", cmd, dir, b.site.Backends)
	return b, err
}

func (b *bench) close() {
	if b.backends != nil {
		b.backends.stop()
	}
	os.RemoveAll(b.dir)
}

// measure has every engine meet a case in every round, in an order that turns
// about, so that what drifts falls on all alike.
func (b *bench) measure(ctx context.Context, name string, c load) (all []measurement, err error) {
	order := slices.Clone(b.engines)
	for round := range b.rounds {
		for _, engine := range order {
			e, err := engineNamed(engine)
			if err != nil {
				return nil, err
			}
			if e.few && c.connections+c.idle > perThread {
				continue // it would need a process or a thread for each connection
			}
			m, err := b.once(ctx, e, c)
			if err != nil {
				return nil, fmt.Errorf("case %s, engine %s: %w", name, engine, err)
			}
			m.Case, m.Engine, m.Round = name, engine, round
			all = append(all, m)
			fmt.Fprintf(os.Stderr, "%s round %d %s: %v a request, %.0f/s\n", name, round, engine, m.CPU.Round(10*time.Nanosecond), m.Rate)
		}
		slices.Reverse(order)
	}
	return all, nil
}

func (b *bench) once(ctx context.Context, e engine, c load) (m measurement, err error) {
	s := b.site
	s.Front = freePort()
	cmd, err := e.command(s)
	if err != nil {
		return m, err
	}
	listens := []string{s.Front}
	if e.ready != nil {
		listens = []string{s.Dir + "/l7.sock"}
	}
	r, err := start(ctx, e.name, cmd, b.dir, listens)
	if err != nil {
		return m, err
	}
	defer r.stop()
	if e.ready != nil {
		if err := e.ready(s); err != nil {
			return m, err
		}
	}
	if c.idle > 0 {
		before := r.group.memory()
		crowd, err := gather(s.Front, c.idle)
		if err != nil {
			return m, err
		}
		defer crowd.close()
		m.PerIdle = (r.group.memory() - before) / int64(c.idle)
	}
	if _, err := b.load(ctx, s, c, time.Second); err != nil { // warms up
		return m, err
	}
	if b.syscalls {
		return b.count(ctx, r, s, c, m)
	}
	return b.window(ctx, r, s, c, m)
}

// window measures while the generator runs, its start and end included.
func (b *bench) window(ctx context.Context, r *running, s site, c load, m measurement) (measurement, error) {
	cpu, err := r.group.cpu()
	if err != nil {
		return m, err
	}
	user, machine := r.group.user(), machineTime()
	w, err := b.load(ctx, s, c, b.seconds)
	if err != nil {
		return m, err
	}
	after, err := r.group.cpu()
	if err != nil {
		return m, err
	}
	n := time.Duration(max(w.requests, 1))
	m.CPU, m.User, m.Machine = (after-cpu)/n, (r.group.user()-user)/n, (machineTime()-machine)/n
	m.Requests, m.Rate, m.P50, m.P99, m.Errors = w.requests, w.rate, w.p50, w.p99, w.errors
	m.Memory = r.group.memory()
	return m, nil
}

func freePort() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
