package traffic

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Generate makes the load in the current network namespace and reports what it
// saw. It calls event, which may be nil, when the measured window begins and ends.
//
// One goroutine serves each connection. In a closed loop a worker whose request
// failed pauses for 1 ms, doubling up to 100 ms until one succeeds, so that a
// dead target is not met with a storm. Without keep-alive every request says
// "Connection: close" and the worker waits for the server to close first, as ab
// and wrk do: TIME_WAIT then stays with the server, and the client, whose side
// has only 28,000 ports for one target, does not run out of them.
//
// When ctx ends Generate stops at once and returns what it has with the
// context's error.
func Generate(ctx context.Context, load Load, event func(Event)) (Result, error) {
	load, err := load.normal()
	if err != nil {
		return Result{}, err
	}
	if event == nil {
		event = func(Event) {}
	}
	g := newGenerator(load)
	return g.run(ctx, event)
}

// generator is one run. Times are durations since base.
type generator struct {
	load     Load
	requests [][]byte // the bytes to send, by target
	dialer   net.Dialer
	base     time.Time
	ctx      context.Context // ends when the run is cut short
	stopped  atomic.Bool     // the same, cheaper to ask
	halt     context.CancelCauseFunc
	window   window
	sent     atomic.Uint64 // measured requests begun, where Requests bounds them
	errors   atomic.Uint64 // measured, where MaxErrors bounds them
	shards   []shard
	workers  []*worker
	pacer    *pacer // of an open loop
}

// shard is a histogram that a few workers share: one of their own, at 140 KB
// each, would not fit a thousand connections.
type shard struct {
	mu sync.Mutex
	h  Histogram
}

func newGenerator(load Load) *generator {
	g := &generator{load: load}
	g.window.reset()
	g.dialer.KeepAlive = -1 // system calls that no connection here lives long enough to need
	g.dialer.SetMultipathTCP(false)
	for _, t := range load.Targets {
		g.requests = append(g.requests, requestFor(load, t.String()))
	}
	g.shards = make([]shard, min(load.Connections, 2*runtime.GOMAXPROCS(0)))
	for i := range load.Connections {
		g.workers = append(g.workers, newWorker(g, i))
	}
	return g
}

func requestFor(l Load, target string) []byte {
	host := l.Host
	if host == "" {
		host = strings.TrimSuffix(target, ":80")
	}
	r := "GET " + l.Path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: lbctl\r\n"
	if !l.KeepAlive {
		r += "Connection: close\r\n"
	}
	return []byte(r + "\r\n")
}

// now returns the time on the run's clock.
func (g *generator) now() time.Duration { return time.Since(g.base) }

// take reports whether one more measured request may be sent.
func (g *generator) take() bool {
	return g.load.Requests == 0 || g.sent.Add(1) <= g.load.Requests
}

func (g *generator) run(ctx context.Context, event func(Event)) (Result, error) {
	g.ctx, g.halt = context.WithCancelCause(ctx)
	defer g.halt(nil)
	if g.load.Rate > 0 {
		var err error
		if g.pacer, err = newPacer(g); err != nil {
			return Result{}, err
		}
		defer g.pacer.close()
	}
	if g.load.Warmup == 0 {
		event(Measuring)
		g.window.open(0)
	}
	cpu := processTime()
	g.base = time.Now()
	defer context.AfterFunc(g.ctx, g.interrupt)()
	finished := g.start()

	begin := time.Duration(0)
	if g.load.Warmup > 0 {
		g.await(g.load.Warmup, finished)
		begin, cpu = g.now(), processTime()
		g.window.open(begin)
		event(Measuring)
	}
	if g.load.Duration > 0 {
		g.await(g.load.Warmup+g.load.Duration, finished)
	} else {
		g.await(-1, finished)
	}
	end, cpuEnd := g.now(), processTime()
	g.window.close(end)
	event(Measured)
	for _, w := range g.workers {
		<-w.done
	}
	r := g.collect()
	r.Elapsed, r.CPU = end-begin, cpuEnd-cpu
	r.Procs = runtime.GOMAXPROCS(0)
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	if g.stopped.Load() {
		r.Stopped = context.Cause(g.ctx).Error()
	}
	return r, nil
}

// start starts the workers. The channel it returns is closed when no further
// request will be sent: in an open loop when all were due, else when the
// workers have ended.
func (g *generator) start() <-chan struct{} {
	for _, w := range g.workers {
		go w.run()
	}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		if g.pacer != nil {
			g.pacer.run()
			return
		}
		for _, w := range g.workers {
			<-w.done
		}
	}()
	return finished
}

// await waits until a time of the run's clock, for ever if it is negative, but
// not past the end of the load.
func (g *generator) await(until time.Duration, finished <-chan struct{}) {
	var timer <-chan time.Time
	if until >= 0 {
		timer = time.After(until - g.now())
	}
	select {
	case <-timer:
	case <-finished:
	case <-g.ctx.Done():
	}
}

// interrupt ends whatever the workers wait for.
func (g *generator) interrupt() {
	g.stopped.Store(true)
	for _, w := range g.workers {
		w.interrupt()
	}
	if g.pacer != nil {
		g.pacer.interrupt()
	}
}

// failed counts one measured error.
func (g *generator) failed() {
	if g.load.MaxErrors > 0 && g.errors.Add(1) == g.load.MaxErrors {
		g.halt(fmt.Errorf("stopped after %d errors", g.load.MaxErrors))
	}
}

func (g *generator) collect() Result {
	r := Result{Errors: map[string]uint64{}, Servers: map[string]uint64{}}
	for _, w := range g.workers {
		r.Requests += w.requests
		r.Answered += w.answered
		r.Connections += w.connections
		r.BytesIn += w.bytesIn
		r.BytesOut += w.bytesOut
		r.Schedule.Queued += w.queued
		r.Schedule.Dropped += w.dropped
		for kind, n := range w.errors {
			r.Errors[kind] += n
		}
		for name, n := range w.servers {
			if *n > 0 {
				r.Servers[name] += *n
			}
		}
	}
	for i := range g.shards {
		r.Latency.Merge(g.shards[i].h)
	}
	if p := g.pacer; p != nil {
		r.Schedule.Due, r.Schedule.Late, r.Schedule.MaxLate = p.due, p.late, p.maxLate
		r.Schedule.Dropped += p.dropped
		if r.Schedule.Dropped > 0 {
			r.Errors[ErrDropped] = r.Schedule.Dropped
		}
	}
	return r
}

// processTime returns the CPU that this process has used.
func processTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
