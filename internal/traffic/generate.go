package traffic

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Generate makes the load in the current network namespace and reports what it
// saw. It calls event, which may be nil, when the measured window begins and ends.
//
// Load.Loops event loops share the connections. In a closed loop a connection
// whose request failed pauses for 1 ms, doubling up to 100 ms until one succeeds,
// so that a dead target is not met with a storm. Without keep-alive every request
// says "Connection: close" and the generator waits for the server to close first,
// as ab does: TIME_WAIT then stays with the server, and the client, whose side has
// only 28,000 ports for one target, does not run out of them.
//
// A latency begins with a clock reading before the request is written, or when it
// was due, and ends with one after the last byte of the answer was read: it counts
// the time that the request and its answer wait for their turn in the generator.
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
	g, err := newGenerator(load)
	if err != nil {
		return Result{}, fmt.Errorf("generate load: %w", err)
	}
	defer g.close()
	return g.run(ctx, event)
}

// generator is one run. Times are durations since base.
type generator struct {
	load     Load
	requests [][]byte // the bytes to send, by target
	loops    []*loadLoop
	base     time.Time
	ctx      context.Context // ends when the run is cut short
	halt     context.CancelCauseFunc
	stopped  atomic.Bool // nothing is sent or counted any more
	window   window
	sent     atomic.Uint64 // measured requests begun, where Requests bounds them
	errors   atomic.Uint64 // measured, where MaxErrors bounds them

	mu     sync.Mutex // between interrupt and close
	closed bool
}

func newGenerator(load Load) (*generator, error) {
	g := &generator{load: load}
	g.window.reset()
	for _, t := range load.Targets {
		g.requests = append(g.requests, requestFor(load, t.String()))
	}
	for range min(load.Loops, load.Connections) {
		l, err := newLoadLoop(g, len(g.loops))
		if err != nil {
			g.close()
			return nil, err
		}
		g.loops = append(g.loops, l)
	}
	for i := range load.Connections {
		l := g.loops[i%len(g.loops)]
		l.workers = append(l.workers, newWorker(l, i%len(load.Targets)))
	}
	return g, nil
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
	if g.load.Warmup == 0 {
		event(Measuring)
		g.window.open(0)
	}
	cpu := processTime()
	g.base = time.Now()
	finished, ended := g.start()
	defer context.AfterFunc(g.ctx, g.interrupt)()

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
	<-ended
	r, err := g.collect()
	r.Elapsed, r.CPU = end-begin, cpuEnd-cpu
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case err == nil && g.stopped.Load():
		r.Stopped = context.Cause(g.ctx).Error()
	}
	return r, err
}

// start starts the loops. The first channel is closed when no further request
// will be sent, the second when all loops have ended.
func (g *generator) start() (finished, ended <-chan struct{}) {
	var sending, running sync.WaitGroup
	for _, l := range g.loops {
		sending.Add(1)
		running.Go(func() {
			spent := sync.OnceFunc(sending.Done)
			l.run(spent)
			spent()
		})
	}
	return after(&sending), after(&running)
}

// after returns a channel that is closed when wg is done.
func after(wg *sync.WaitGroup) <-chan struct{} {
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	return done
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

// interrupt ends whatever the loops do.
func (g *generator) interrupt() {
	g.stopped.Store(true)
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		for _, l := range g.loops {
			l.events.Stop()
		}
	}
}

func (g *generator) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, l := range g.loops {
		_ = l.events.Close()
	}
}

// failed counts one measured error.
func (g *generator) failed() {
	if g.load.MaxErrors > 0 && g.errors.Add(1) == g.load.MaxErrors {
		g.stopped.Store(true)
		g.halt(fmt.Errorf("stopped after %d errors", g.load.MaxErrors))
	}
}

func (g *generator) collect() (Result, error) {
	r := Result{Errors: map[string]uint64{}, Servers: map[string]uint64{}, Procs: len(g.loops)}
	var errs []error
	for _, l := range g.loops {
		l.addTo(&r)
		errs = append(errs, l.err)
	}
	if r.Schedule.Dropped > 0 {
		r.Errors[ErrDropped] = r.Schedule.Dropped
	}
	return r, errors.Join(errs...)
}

// processTime returns the CPU that this process has used.
func processTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
