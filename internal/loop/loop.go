package loop

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/splice"
)

// Options are what a Loop is made from. The zero value is usable.
type Options struct {
	Kind   Kind
	Buffer int // bytes of the read scratch (epoll; default 256 KiB) or of the provided buffers together (io_uring; 1 MiB, and four times as much before Linux 6.12)

	// Alone says that no other loop is to share the sockets of this one for long, so that it need
	// not take turns with any. It is for speed only, and io_uring's. While others do, as one that
	// takes over, this one comes first.
	Alone bool

	whole bool // io_uring: fill no buffer piece by piece, as before Linux 6.12
}

// trimPeriod is how often, in nanoseconds and while something happens, the loop
// looks for blocks that it does not need.
const trimPeriod = 1e9

// engine is what differs between epoll and io_uring. It has more methods than an
// interface should, since it is a kernel's interface to sockets and not a seam:
// each method is one thing that a connection asks of the kernel.
type engine interface {
	start() error             // Run's thread is the caller's, from now on
	turn(wait int64) error    // calls l.tick after at most wait ns (for ever if negative), then handlers
	adopt(c *Conn, soon bool) // begins to read; soon: data may be there already
	connect(c *Conn)
	visit(c *Conn)        // what l.later asked for
	release(c *Conn)      // the connection is closed: lets its descriptor go
	watches(c *Conn) bool // whatever comes for c is an event, and of what came before nothing is left
	still() bool          // nothing has come, for whomever, since the iteration's events were collected
	arrived(c *Conn) bool // something was received for c that has not been handled
	bulk(c *Conn)         // what Bulk says has changed
	withdraw(c *Conn)     // takes the descriptor out of the kernel's hands
	listen(ln *Listener) error
	unlisten(ln *Listener)
	stop() // Run ends: nothing may be left half done
	close() error
}

// Loop waits for events of its connections, listeners and timers and calls their
// handlers.
type Loop struct {
	io      engine
	options Options
	kind    Kind
	why     string
	batch   int // writes up to this size wait for the end of the iteration

	base    time.Time // with monotonic, the clock reading that it stands for
	offset  int64
	now     int64
	all     bool // the iteration's events are all that there were by now
	running bool
	stopped atomic.Bool

	conns     []*[slab]Conn // a slot keeps its Conn for ever, so they come together
	slots     uint32        // that there are
	free      []*Conn
	dead      []*Conn // closed, and free after this iteration
	visits    []*Conn
	visiting  []*Conn // the other list of the two that take turns
	listeners []*Listener
	wheel     wheel
	pace      func(now int64) int64
	next      int64 // when pace wants to be called
	mail      mail
	blocks    blocks
	scratch   []byte // what is read directly; its first used bytes were handed out
	used      int
	pipe      splice.Pipe
	pair      [][]byte // of carry
	trimAt    int64    // when blocks are looked at
	sys       sys
}

// New makes a loop. With Kind Auto it takes what Probe recommends.
func New(o Options) (*Loop, error) {
	l := &Loop{base: time.Now(), options: o, kind: o.Kind}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return nil, fmt.Errorf("read clock: %w", err)
	}
	l.offset = ts.Nano()
	l.refresh()
	l.wheel.turned = l.now >> tickShift
	l.why = "asked for"
	if l.kind == Auto {
		l.kind, l.why = Probe()
	}
	if err := l.mail.open(); err != nil {
		return nil, err
	}
	var err error
	if l.io, err = newEngine(l); err != nil {
		l.mail.close()
		return nil, err
	}
	return l, nil
}

func newEngine(l *Loop) (engine, error) {
	switch l.kind {
	case Epoll:
		return newEpoll(l)
	case URing:
		return newURing(l)
	default:
		return nil, fmt.Errorf("make loop of kind %d: there is none", l.kind)
	}
}

func positive(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

// Kind returns the kind that the loop has.
func (l *Loop) Kind() Kind { return l.kind }

// Why says why the loop has its kind.
func (l *Loop) Why() string { return l.why }

// Now returns CLOCK_MONOTONIC in nanoseconds as it was when the current
// iteration began. Deadlines and timers count from there.
func (l *Loop) Now() int64 {
	if !l.running {
		l.refresh()
	}
	return l.now
}

func (l *Loop) refresh() { l.now = l.clock() }

func (l *Loop) clock() int64 { return l.offset + int64(time.Since(l.base)) }

// Run calls handlers until Stop. It may be called once. Connections stay as they
// are when it returns.
func (l *Loop) Run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := l.io.start(); err != nil {
		return err
	}
	l.refresh()
	l.running = true
	for !l.stopped.Load() {
		if err := l.io.turn(l.patience()); err != nil {
			return err
		}
		// After the events: a loop that was held up is late itself, and must not take what
		// has come in time for late.
		if l.now>>tickShift > l.wheel.turned {
			l.wheel.turn(l.now)
			if l.now >= l.trimAt {
				l.trimAt = l.now + trimPeriod
				l.blocks.small.trim()
				l.blocks.large.trim()
			}
		}
		l.visit()
		l.bury()
		l.sys.stats.Iterations++
	}
	l.mail.read()
	l.visit()
	l.io.stop()
	return nil
}

// Stop makes Run return after the iteration. What was posted before still runs.
func (l *Loop) Stop() {
	l.stopped.Store(true)
	l.mail.ring()
}

// Close closes what is still open, without calling handlers. Run must have
// returned or never been called.
func (l *Loop) Close() error {
	for _, ln := range l.listeners {
		ln.Close()
	}
	for slot := range l.slots {
		l.conn(slot).Close()
	}
	err := l.io.close()
	l.mail.close()
	l.pipe.Close()
	return err
}

// Pace has f called in each iteration, and at the time that it returned last at
// the latest: exactly, not in ticks. It is for a generator that sends by a
// schedule, and for what is due sooner than a tick. A time that is not positive means "with the next event"; nil ends it.
func (l *Loop) Pace(f func(now int64) (next int64)) {
	l.pace = f
	l.next = l.Now()
}

// patience returns for how many nanoseconds the loop may sleep, -1 for ever.
func (l *Loop) patience() int64 {
	if len(l.visits) > 0 {
		return 0
	}
	until := l.wheel.next()
	if l.pace != nil && l.next > 0 && (until < 0 || l.next < until) {
		until = l.next
	}
	if until < 0 {
		return -1
	}
	return max(until-l.now, 0)
}

// keepPace calls who has a schedule, when the clock was read and events are known.
func (l *Loop) keepPace() {
	if l.pace != nil {
		l.next = l.pace(l.now)
	}
}

// later has the engine visit c at the end of the iteration.
func (l *Loop) later(c *Conn) {
	if c.flags&queued == 0 {
		c.flags |= queued
		l.visits = append(l.visits, c)
	}
}

func (l *Loop) visit() {
	list := l.visits
	l.visits = l.visiting[:0]
	for _, c := range list {
		c.flags &^= queued
		l.io.visit(c)
	}
	l.visiting = list
}
