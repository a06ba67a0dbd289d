package l7

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/loop"
	"lbctl/internal/proxy"
	"lbctl/internal/scoreboard"
)

// engine is the data plane of one worker process: its threads, and the addresses
// that it listens at.
type engine struct {
	log   *slog.Logger
	board *scoreboard.Board
	slot  int
	row   scoreboard.Row
	crew  []runner // event's listener is the last
	desk  *desk    // nil unless the model has one
	quiet int      // seconds that clients who say nothing are left to the kernel

	logs       *accesslog.Logs
	complaints *complaints

	mu       sync.Mutex // serializes configure and stop
	table    *table
	old      []*table // that were in force before and that a request may still go by
	fronts   map[netip.AddrPort]*front
	stopping bool

	closing  sync.WaitGroup  // removed fronts with requests in flight
	removals context.Context // ends when these may take no more time, whenever they began
	cut      func()          // ends it
	patience time.Duration   // of each
}

// front is a VIP with its listening socket.
type front struct {
	proxy.Front
	socket     *os.File
	descriptor int // its
}

func newEngine(log *slog.Logger, board *scoreboard.Board, slot int, shape Shape, kind loop.Kind) (*engine, error) {
	e := &engine{log: log, board: board, slot: slot, row: board.Row(slot), table: &table{}, fronts: map[netip.AddrPort]*front{}, quiet: deferral(shape.Model), logs: accesslog.NewLogs(), patience: shape.DrainTimeout}
	e.removals, e.cut = context.WithCancel(context.Background())
	var err error
	if e.crew, e.desk, err = crew(shape, kind, board, slot); err != nil {
		return nil, fmt.Errorf("start threads of model %s: %w", shape.Model, err)
	}
	e.complaints = newComplaints(log)
	e.each(func(_ runner, c *proxy.Core) { c.ComplainTo(e.complaints) })
	return e, nil
}

// configure brings a configuration into force. It takes the sockets that it needs
// out of those given. The master has made sure that nothing can fail, so an error
// means that the two are not of one mind: unless all workers think so, it ends this process.
func (e *engine) configure(c *configuration, sockets map[netip.AddrPort]*os.File) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return errStopping
	}
	next, err := newTable(c.Snapshot, e.table, func(key string) proxy.Account { return proxy.Account{Cell: e.row.Cell(c.Cells[key])} })
	if err != nil {
		return err
	}
	next.generation = c.Generation
	e.openLogs(next, c.LogFolder)
	opened, err := e.fresh(next, sockets)
	if err != nil {
		return err
	}
	// First, so that no request finds a pool that closes its connection.
	e.each(func(_ runner, c *proxy.Core) { c.Wake(next.services) })
	before := e.table
	e.old = append(e.old, before)
	e.table = next
	for _, f := range opened {
		e.fronts[f.VIP] = f
	}
	for vip, f := range e.fronts {
		if svc := next.byVIP[vip]; svc != nil {
			f.Serve(svc)
		} else {
			e.remove(f, before)
		}
	}
	e.each(func(_ runner, c *proxy.Core) { c.Settle(next.services) })
	e.retire()
	return e.accept(opened)
}

// fresh makes fronts of the addresses that are new. On an error it has taken no socket.
func (e *engine) fresh(t *table, sockets map[netip.AddrPort]*os.File) (opened []*front, err error) {
	for vip := range t.byVIP {
		if e.fronts[vip] != nil {
			continue
		}
		socket := sockets[vip]
		if socket == nil {
			return nil, fmt.Errorf("no socket for %s", vip)
		}
		opened = append(opened, &front{Front: proxy.Front{VIP: vip}, socket: socket, descriptor: int(socket.Fd())})
	}
	for _, f := range opened {
		delete(sockets, f.VIP)
	}
	return opened, nil
}

// accept begins to take clients.
func (e *engine) accept(opened []*front) (err error) {
	for _, f := range opened {
		err = errors.Join(err, f.deferAccept(e.quiet))
	}
	e.each(func(r runner, _ *proxy.Core) {
		for _, f := range opened {
			err = errors.Join(err, r.listen(f))
		}
	})
	return err
}

// each has every thread run f, one at a time. They are all told at once, for each may
// take a moment to hear (focus).
func (e *engine) each(f func(runner, *proxy.Core)) {
	var turn sync.Mutex
	var all sync.WaitGroup
	for _, r := range e.crew {
		all.Go(func() {
			r.do(func(c *proxy.Core) {
				turn.Lock()
				defer turn.Unlock()
				f(r, c)
			})
		})
	}
	all.Wait()
}

// remove takes a front out of service. Its requests in flight, and those that its
// clients still send, finish behind the scenes, by the table that it was last in.
func (e *engine) remove(f *front, last *table) {
	delete(e.fronts, f.VIP)
	last.leaving.Add(1)
	e.leave(f)
	e.closing.Go(func() {
		defer last.leaving.Add(-1)
		ctx, cancel := context.WithTimeout(e.removals, e.patience)
		defer cancel()
		e.drain(ctx, f)
	})
}

// leave stops accepting. As far as this process goes the address is free when it
// returns.
func (e *engine) leave(f *front) {
	f.Close()
	e.each(func(r runner, c *proxy.Core) {
		r.unlisten(f)
		c.Drain(&f.Front)
	})
	f.socket.Close()
}

// drain waits until a front has no clients any more, or cuts them off when ctx ends:
// more than once, for a client may go from one thread to another meanwhile.
func (e *engine) drain(ctx context.Context, f *front) {
	for pause := pollInterval; ctx.Err() == nil; pause = min(2*pause, longestPoll) {
		if f.Clients() == 0 {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	for range 10 {
		e.each(func(_ runner, c *proxy.Core) { c.Cut(&f.Front) })
		e.desk.turnAway(func(v visitor) bool { return v.front == &f.Front })
		if f.Clients() == 0 {
			return
		}
		time.Sleep(pollInterval)
	}
}

// retire tells the master which configurations no request goes by any more.
func (e *engine) retire() {
	e.old = slices.DeleteFunc(e.old, func(t *table) bool { return !t.inUse() })
	oldest := e.table.generation
	for _, t := range e.old {
		oldest = min(oldest, t.generation)
	}
	e.board.Adopt(e.slot, oldest)
	e.closeLogs()
}

// stop listens no more, and returns when every request in flight is answered or,
// when ctx has ended, cut off. Then what the logs have is written.
func (e *engine) stop(ctx context.Context) {
	e.mu.Lock()
	e.stopping = true
	for _, f := range e.fronts {
		e.leave(f)
	}
	e.mu.Unlock() // who configures is told at once
	for _, f := range e.fronts {
		e.drain(ctx, f)
	}
	context.AfterFunc(ctx, e.cut)
	e.closing.Wait()
	e.cut()
	var all sync.WaitGroup
	end := func(r runner) {
		if err := r.stop(); err != nil {
			e.log.Error("thread", "error", err)
		}
	}
	last := len(e.crew) - 1 // event's listener, to whom the threads give clients back
	for _, r := range e.crew[:last] {
		all.Go(func() { end(r) })
	}
	all.Wait()
	end(e.crew[last])
	e.desk.close()
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout) // the other one may have ended
	defer cancel()
	e.logs.Close(ctx)
	e.complaints.close(ctx)
}
