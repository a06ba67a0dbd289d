package l7

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/loop"
	"lbctl/internal/supervise"
)

// callTimeout is how long a worker may take to answer its master.
const callTimeout = 10 * time.Second

// processes are the workers as processes of their own, under supervision.
type processes struct {
	*supervise.Supervisor
	master *master
	shape  Shape
	kind   loop.Kind // of event loops
	loop   string    // the same, and why

	predecessor *supervise.Predecessor // nil: none

	generation atomic.Uint64 // of workers
	reshapings chan reshaping

	mu  sync.Mutex
	up  map[int]uint64 // by process slot: serial of the worker that has said hello last
	cpu time.Duration  // see grown
}

// newProcesses supervises workers for m. slots is the most there can be.
func newProcesses(m *master, shape Shape, slots int) *processes {
	kind, why := kindOf(shape), shape.Events+": asked for"
	if kind == loop.Auto {
		kind, why = loop.Probe()
	}
	p := &processes{master: m, shape: shape, kind: kind, loop: why, up: map[int]uint64{}, reshapings: make(chan reshaping)}
	p.Supervisor = supervise.New(supervise.Config{
		Slots: slots, Command: p.start, Accounts: p, Handle: p.handle,
		DrainTimeout: shape.DrainTimeout, Grace: stopGrace, TimerSlack: timerSlack, Log: m.log,
	})
	return p
}

// timerSlack bounds how often Go's monitor thread wakes up: it sleeps for 20 µs at a time
// while threads wait in the kernel, as those of prefork do most of the time. Without it a request
// costs prefork three times as much (docs/l7-performance.md). Threads that serve take it back.
const timerSlack = 20 * time.Millisecond

// punctual gives the thread that calls it the timer slack that Linux gives by default, 50 µs.
func punctual() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 50_000, 0, 0, 0) }

// polite has the thread that calls it wait for its turn when it wakes up, as SCHED_BATCH does:
// to push aside who runs, most often the client or the backend that has just written to it, costs a
// switch there and back, and has them do little at a time (docs/l7-performance.md).
func polite() {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL {
		return // somebody has chosen for this process
	}
	attr.Policy, attr.Runtime = unix.SCHED_BATCH, 0 // and the slice that the kernel gives
	_ = unix.SchedSetAttr(0, attr, 0)
}

// start makes the command that starts this same binary: a worker must be of its master's version also
// if the file has been replaced.
func (p *processes) start(at supervise.Place) (*exec.Cmd, error) {
	cmd := exec.Command("/proc/self/exe", "l7-worker", "--slot", strconv.Itoa(at.Slot), "--model", string(p.shape.Model), "--threads", strconv.Itoa(p.shape.Threads), "--processes", strconv.Itoa(p.shape.Processes), "--events", p.shape.Events, "--log-level", p.shape.LogLevel, "--drain-timeout", p.shape.DrainTimeout.String())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{p.master.board.File()}
	// Little of a worker's memory lives, so Go's default would collect at every 4 MiB of
	// garbage. That this saves CPU time was not measured.
	cmd.Env = append(os.Environ(), "GOGC=400")
	// A thread that waits in the kernel keeps its P, so that it may go on at once; others are for the
	// collector and the master's messages. A loop lets its P go when it waits.
	ps := 2
	if p.shape.Model != Loop {
		ps += p.shape.Threads
	}
	cmd.Env = append(cmd.Env, "GOMAXPROCS="+strconv.Itoa(ps))
	return cmd, nil
}

// Admit implements supervise.Accounts.
func (p *processes) Admit(slot int, _ uint64) {
	p.master.ledger.Admit(slot, p.master.current.Load().Generation)
}

// Reclaim implements supervise.Accounts.
func (p *processes) Reclaim(slot int) { p.master.ledger.Reclaim(slot) }

func (p *processes) handle(_ context.Context, at supervise.Place, m supervise.Message) (any, error) {
	if m.Kind != kindHello {
		return nil, fmt.Errorf("message %q: unknown kind", m.Kind)
	}
	go p.welcome(at)
	return nil, nil
}

// welcome gives a new worker what is in force. Whatever is applied next, it gets
// with all others.
func (p *processes) welcome(at supervise.Place) {
	p.master.mu.Lock()
	defer p.master.mu.Unlock()
	if p.master.stopping {
		return // it is about to hear that it is to end
	}
	p.note(at)
	if err := p.tell(at, p.master.current.Load(), p.master.listeners.Sockets()); err != nil {
		p.replace(at, err)
	}
}

// note remembers that a worker has said hello. It may be dead by now.
func (p *processes) note(at supervise.Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up[at.Slot] = max(p.up[at.Slot], at.Serial)
}

// isUp reports whether a worker has said hello.
func (p *processes) isUp(at supervise.Place) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up[at.Slot] == at.Serial
}

// configure implements workers.
func (p *processes) configure(c *configuration, fresh []supervise.Socket) error {
	told, answers := p.tellAll(c, fresh)
	if err := allRefuse(answers); err != nil {
		return err
	}
	p.replaceThose(told, answers)
	return nil
}

// restore implements workers.
func (p *processes) restore(c *configuration, sockets []supervise.Socket) {
	p.replaceThose(p.tellAll(c, sockets))
}

// tellAll brings a configuration into force in all workers that have said hello and take
// new clients, at the same time, and returns what each of them has answered.
func (p *processes) tellAll(c *configuration, sockets []supervise.Socket) (told []supervise.Place, answers []error) {
	for _, child := range p.Status().Children {
		if p.isUp(child.Place) && child.State != supervise.Draining {
			told = append(told, child.Place)
		}
	}
	answers = make([]error, len(told))
	var all sync.WaitGroup
	for i, at := range told {
		all.Go(func() { answers[i] = p.tell(at, c, sockets) })
	}
	all.Wait()
	return told, answers
}

// allRefuse returns what workers say that have all refused a configuration. Those that have
// ended say nothing of it; one that is late may be broken, and the others good.
func allRefuse(answers []error) (why error) {
	for _, err := range answers {
		var refusal supervise.Refusal
		switch {
		case errors.As(err, &refusal):
			why = fmt.Errorf("no worker takes it: %w", refusal)
		case !ended(err):
			return nil
		}
	}
	return why
}

// tell brings a configuration into force in one worker.
func (p *processes) tell(at supervise.Place, c *configuration, fresh []supervise.Socket) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	for len(fresh) > 0 {
		some := fresh[:min(len(fresh), maxSockets)]
		fresh = fresh[len(some):]
		addrs, files := make([]netip.AddrPort, 0, len(some)), make([]*os.File, 0, len(some))
		for _, s := range some {
			addrs, files = append(addrs, s.Addr), append(files, s.File)
		}
		if err := p.Call(ctx, at, kindSockets, addrs, nil, files...); err != nil {
			return err
		}
	}
	return p.Call(ctx, at, kindConfigure, c, nil)
}

// replaceThose replaces the workers that have answered with an error.
func (p *processes) replaceThose(told []supervise.Place, answers []error) {
	for i, err := range answers {
		if err != nil {
			p.replace(told[i], err)
		}
	}
}

// replace ends a worker that does not do as it is told. Another one takes its
// place, and gets the configuration afresh.
func (p *processes) replace(at supervise.Place, why error) {
	if ended(why) {
		return
	}
	p.master.log.Error("worker has not taken its configuration", "slot", at.Slot, "error", why)
	_ = p.Kill(at) // it may be dead by now
}

// ended reports whether a worker could not be told something because it has ended.
func ended(err error) bool {
	return errors.Is(err, supervise.ErrLinkClosed) || errors.Is(err, supervise.ErrNoChild)
}
