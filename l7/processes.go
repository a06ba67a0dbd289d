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
	"syscall"
	"time"

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
	loop   string // what kind of event loop, and why

	generation atomic.Uint64 // of workers
	reshapings chan reshaping

	mu sync.Mutex
	up map[int]bool // process slots whose worker has said hello
}

// newProcesses supervises workers for m. slots is the most there can be.
func newProcesses(m *master, shape Shape, slots int) *processes {
	why := shape.Events + ": asked for"
	if kindOf(shape) == loop.Auto {
		_, why = loop.Probe()
	}
	p := &processes{master: m, shape: shape, loop: why, up: map[int]bool{}, reshapings: make(chan reshaping)}
	p.Supervisor = supervise.New(supervise.Config{
		Slots: slots, Command: p.start, Accounts: p, Handle: p.handle,
		DrainTimeout: stopDeadline, Grace: time.Second, TimerSlack: timerSlack, Log: m.log,
	})
	return p
}

// timerSlack bounds how often Go's monitor thread wakes up: it sleeps for 20 µs at a time
// while threads wait in the kernel, as those of prefork do most of the time. Without it a request
// costs prefork three times as much (docs/l7-performance.md). Deadlines are seconds.
const timerSlack = 20 * time.Millisecond

// start makes the command that starts this same binary: a worker must be of its master's version also
// if the file has been replaced.
func (p *processes) start(at supervise.Place) (*exec.Cmd, error) {
	cmd := exec.Command("/proc/self/exe", "l7-worker", "--slot", strconv.Itoa(at.Slot), "--model", string(p.shape.Model), "--threads", strconv.Itoa(p.shape.Threads), "--events", p.shape.Events)
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
func (p *processes) Reclaim(slot int) {
	p.mu.Lock()
	delete(p.up, slot)
	p.mu.Unlock()
	p.master.ledger.Reclaim(slot)
}

func (p *processes) handle(_ context.Context, at supervise.Place, m supervise.Message) (any, error) {
	if m.Kind != kindHello {
		return nil, fmt.Errorf("message %q: unknown kind", m.Kind)
	}
	go p.welcome(at.Slot)
	return nil, nil
}

// welcome gives a new worker what is in force. Whatever is applied next, it gets
// with all others.
func (p *processes) welcome(slot int) {
	p.master.mu.Lock()
	defer p.master.mu.Unlock()
	p.mu.Lock()
	p.up[slot] = true
	p.mu.Unlock()
	if err := p.tell(slot, p.master.current.Load(), p.master.listeners.Sockets(0)); err != nil {
		p.replace(slot, err)
	}
}

// configure implements workers.
func (p *processes) configure(c *configuration, fresh []supervise.Socket) {
	p.each(func(child supervise.Child) {
		if child.State == supervise.Draining {
			return
		}
		if err := p.tell(child.Slot, c, fresh); err != nil {
			p.replace(child.Slot, err)
		}
	})
}

// each calls f for all worker processes that have said hello, at the same time.
func (p *processes) each(f func(child supervise.Child)) {
	var all sync.WaitGroup
	for _, child := range p.Status().Children {
		p.mu.Lock()
		up := p.up[child.Slot]
		p.mu.Unlock()
		if up {
			all.Go(func() { f(child) })
		}
	}
	all.Wait()
}

// tell brings a configuration into force in one worker.
func (p *processes) tell(slot int, c *configuration, fresh []supervise.Socket) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	for len(fresh) > 0 {
		some := fresh[:min(len(fresh), maxSockets)]
		fresh = fresh[len(some):]
		addrs, files := make([]netip.AddrPort, 0, len(some)), make([]*os.File, 0, len(some))
		for _, s := range some {
			addrs, files = append(addrs, s.Addr), append(files, s.File)
		}
		if err := p.Call(ctx, slot, kindSockets, addrs, nil, files...); err != nil {
			return err
		}
	}
	return p.Call(ctx, slot, kindConfigure, c, nil)
}

// replace ends a worker that does not do as it is told. Another one takes its
// place, and gets the configuration afresh.
func (p *processes) replace(slot int, why error) {
	if errors.Is(why, supervise.ErrLinkClosed) || errors.Is(why, supervise.ErrNoChild) {
		return // it is dead, and who is in the slot by now is another
	}
	p.master.log.Error("worker has not taken its configuration", "slot", slot, "error", why)
	for _, child := range p.Status().Children {
		if child.Slot == slot {
			_ = syscall.Kill(child.PID, syscall.SIGKILL)
		}
	}
}
