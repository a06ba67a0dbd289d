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
	Why      string        `json:"why,omitempty"` // there are no figures
	Requests int           `json:"requests"`
	Rate     float64       `json:"rate"`    // requests per second
	CPU      time.Duration `json:"cpu"`     // of the balancer, per request
	User     time.Duration `json:"user"`    // of that, outside the kernel
	Machine  time.Duration `json:"machine"` // of the whole machine, per request
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
	Memory   int64         `json:"memory"`             // bytes, after the load
	Idle     *idle         `json:"idle,omitempty"`     // nil: the case has no idle connections
	Syscalls float64       `json:"syscalls,omitempty"` // per request; 0: not counted
	Errors   int           `json:"errors,omitempty"`   // of the generator
}

type bench struct {
	options
	dir      string
	site     site
	backends *running
}

func newBench(o options) (*bench, error) {
	tools := []string{"wrk", "nginx"}
	if o.syscalls {
		tools = append(tools, "strace")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%w: install it (apt-get install nginx-light haproxy apache2 wrk strace)", err)
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
			m := b.meet(ctx, e, c, round == 0 && b.syscalls)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			m.Case, m.Engine, m.Round = name, engine, round
			all = append(all, m)
			fmt.Fprintf(os.Stderr, "%s round %d %s: %s\n", name, round, engine, m)
		}
		slices.Reverse(order)
	}
	return all, nil
}

func (m measurement) String() string {
	if m.Why != "" {
		return m.Why
	}
	return fmt.Sprintf("%v a request, %.0f/s", m.CPU.Round(10*time.Nanosecond), m.Rate)
}

// meet measures, or says why it could not: the others still can.
func (b *bench) meet(ctx context.Context, e engine, c load, count bool) measurement {
	if e.few && c.connections+c.idle > perThread {
		return measurement{Why: "a process or a thread for each connection"}
	}
	m, err := b.once(ctx, e, c, count)
	if err != nil {
		return measurement{Why: err.Error()}
	}
	return m
}

func (b *bench) once(ctx context.Context, e engine, c load, count bool) (m measurement, err error) {
	var empty memory
	if c.idle > 0 {
		if empty, err = b.empty(ctx, e, c); err != nil {
			return m, err
		}
	}
	r, s, err := b.begin(ctx, e, c)
	if err != nil {
		return m, err
	}
	defer r.stop()
	if c.idle > 0 {
		waiting, err := b.fill(ctx, r, s, c)
		if err != nil {
			return m, err
		}
		defer waiting.close()
		m.Idle = waiting.memory(empty)
	}
	if m, err = b.window(ctx, r, s, c, m); err != nil || !count {
		return m, err
	}
	if calls, err := b.count(ctx, r, s, c); err != nil {
		fmt.Fprintf(os.Stderr, "count system calls of %s: %v\n", e.name, err)
	} else {
		m.Syscalls = calls
	}
	return m, nil
}

// begin starts an engine that has room for the case's connections, and warms it up.
func (b *bench) begin(ctx context.Context, e engine, c load) (r *running, s site, err error) {
	s = b.site
	s.Front, s.Room = freePort(), roomFor(2*c.connections+c.idle)
	if s.Dir, err = os.MkdirTemp(b.dir, e.name); err != nil { // one that is killed leaves its pid file
		return nil, s, err
	}
	if err := os.Chmod(s.Dir, 0o755); err != nil {
		return nil, s, err
	}
	cmd, err := e.command(s)
	if err != nil {
		return nil, s, err
	}
	if b.batch {
		cmd = exec.Command("chrt", append([]string{"--batch", "0", cmd.Path}, cmd.Args[1:]...)...)
	}
	listens := []string{s.Front}
	if e.ready != nil {
		listens = []string{s.Dir + "/l7.sock"}
	}
	if r, err = start(ctx, e.name, cmd, s.Dir, listens); err != nil {
		return nil, s, err
	}
	if e.ready != nil {
		err = e.ready(s)
	}
	if err == nil {
		_, err = b.load(ctx, s, c, time.Second)
	}
	if err != nil {
		r.stop()
		return nil, s, err
	}
	return r, s, nil
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
	m.Memory = r.group.memory().own
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
