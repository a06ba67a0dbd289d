package l7

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"

	"lbctl/internal/scoreboard"
	"lbctl/internal/supervise"
)

// Work is a worker process: it forwards by the configurations that its master
// sends it, until the master tells it to finish, or is gone, or ctx ends. slot is
// its place in the scoreboard, which it has inherited; of shape only the model, the
// processes, threads, events and the drain timeout matter here.
func Work(ctx context.Context, slot int, shape Shape, log *slog.Logger) error {
	board, err := scoreboard.Open(os.NewFile(supervise.FirstFD, "scoreboard"))
	if err != nil {
		return err
	}
	e, err := newEngine(log, board, slot, shape, kindOf(shape))
	if err != nil {
		return err
	}
	w := &worker{engine: e, sockets: map[netip.AddrPort]*os.File{}}
	w.configured.Add(1)
	m, err := supervise.Attach(w.handle, stopDeadline)
	if err != nil {
		return err
	}
	if err := m.Call(ctx, kindHello, nil, nil); err != nil {
		return fmt.Errorf("say hello to the master: %w", err)
	}
	go func() {
		w.configured.Wait()
		_ = m.Ready(ctx)     // if the master is gone, Finish says so
		debug.FreeOSMemory() // what only starting took, by every process; later the loop makes next to no garbage
	}()
	deadline, cancel := m.Finish(ctx)
	defer cancel()
	e.stop(deadline)
	return nil
}

// worker is the side of a worker process that its master talks to.
type worker struct {
	engine     *engine
	configured sync.WaitGroup // until the first configuration is in force
	once       sync.Once

	mu      sync.Mutex
	sockets map[netip.AddrPort]*os.File // that the next configuration will need
}

func (w *worker) handle(ctx context.Context, m supervise.Message) (any, error) {
	if m.Kind == kindReopen { // without the lock: a configuration must not wait for a file that hangs
		var err error
		for _, f := range m.Files {
			err = sayTo(f)
		}
		return nil, errors.Join(err, w.engine.reopen(ctx))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch m.Kind {
	case kindSockets:
		return nil, w.takeSockets(m)
	case kindConfigure:
		var c configuration
		if err := m.Into(&c); err != nil {
			return nil, err
		}
		defer w.dropSockets()
		err := w.engine.configure(&c, w.sockets)
		if err == nil {
			w.once.Do(w.configured.Done)
		}
		return nil, err
	}
	return nil, fmt.Errorf("message %q: unknown kind", m.Kind)
}

// takeSockets keeps the sockets of a message for the next configuration.
func (w *worker) takeSockets(m supervise.Message) error {
	var addrs []netip.AddrPort
	if err := m.Into(&addrs); err != nil {
		return err
	}
	if len(addrs) != len(m.Files) {
		return fmt.Errorf("take %d sockets for %d addresses", len(m.Files), len(addrs))
	}
	for i, addr := range addrs {
		if twice := w.sockets[addr]; twice != nil {
			twice.Close()
		}
		w.sockets[addr], m.Files[i] = m.Files[i], nil
	}
	return nil
}

// dropSockets closes those that the configuration has not taken: kept here they
// would listen for nobody.
func (w *worker) dropSockets() {
	for addr, f := range w.sockets {
		f.Close()
		delete(w.sockets, addr)
	}
}
