package l7

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"lbctl/internal/scoreboard"
	"lbctl/internal/supervise"
)

// maxCells is how many services and backends can be counted.
const maxCells = 16 << 10

// readyTimeout is how long a new generation of workers, or a new binary, may take
// until it serves.
const readyTimeout = 15 * time.Second

// Run is the proxy's master process: it serves the control endpoint on a unix
// socket (mode 0600) and has worker processes forward what the snapshots sent
// there say. It obeys nginx's signals: HUP starts new workers and lets the old
// ones finish, USR2 starts the binary anew beside this one, WINCH lets the workers
// finish, for the shape's drain timeout at most; QUIT ends after the requests in
// flight, ten seconds long at most. When ctx ends, as by TERM, it ends at once.
//
// It returns ErrRunning if another process has the socket, which a lock on
// SOCKET.lock ensures: the kernel drops the lock when its holder dies, whatever it
// dies of. A new binary inherits socket and lock from the old one.
func Run(ctx context.Context, socket string, shape Shape, log *slog.Logger) (err error) {
	shape = shape.WithDefaults()
	if err := shape.Check(); err != nil {
		return err
	}
	in, err := supervise.Inherit()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = in.Refuse(err)
		}
	}()
	door, err := openDoor(socket)
	if err != nil {
		return err
	}
	defer door.close()
	p, err := startProcesses(ctx, socket, in, shape, log)
	if err != nil {
		return err
	}
	if door.inherited {
		if err := p.takeOver(ctx, socket); err != nil {
			p.Terminate()
			return err
		}
	}
	if err := in.Ready(); err != nil {
		p.Terminate()
		return fmt.Errorf("tell the old master: %w", err)
	}
	door.own()
	log.Info("proxy runs", "socket", socket, "pid", os.Getpid(), "model", shape.Model)
	err = p.obey(ctx, door)
	log.Info("proxy stopped", "socket", socket)
	return err
}

// startProcesses makes the master and its first workers.
func startProcesses(ctx context.Context, socket string, in *supervise.Inheritance, shape Shape, log *slog.Logger) (*processes, error) {
	slots := generations(shape.Model) * shape.Processes
	board, err := scoreboard.Create(scoreboard.Sizes{Children: slots, Threads: shape.Threads, Cells: maxCells})
	if err != nil {
		return nil, err
	}
	// It stays mapped: whoever asks for counters may read it to the end.
	m := newMaster(log, board)
	m.listeners = in.Listeners
	m.logFolder, m.errorLog = filepath.Join(filepath.Dir(socket), "log"), errorLog()
	p := newProcesses(m, shape, slots)
	p.predecessor = in.Predecessor
	m.workers = p
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := p.reload(ctx); err != nil {
		p.Terminate()
		return nil, err
	}
	return p, nil
}

// generations is how many of them at full strength find place beside each other. What
// old ones still finish ends early only when there are more. A loop's processes are all
// there from the start; those of the other models come as clients do.
func generations(m Model) int {
	if m == Loop {
		return 8
	}
	return 2
}

// takeOver brings into force what the old master, which still answers at the
// socket, has in force.
func (p *processes) takeOver(ctx context.Context, socket string) error {
	s, err := newClient(socket).snapshot(ctx)
	if err != nil {
		return fmt.Errorf("ask the old master for its snapshot: %w", err)
	}
	return p.master.apply(s)
}

// reload starts a new generation of workers, as many as there are, and lets the
// old one finish.
func (p *processes) reload(ctx context.Context) error {
	st := p.Status()
	wanted := st.Wanted
	if wanted == 0 {
		wanted = p.shape.Start
	}
	return p.Reload(ctx, p.generation.Add(1), wanted)
}

// obey serves the control endpoint and does what signals say, until the proxy ends.
func (p *processes) obey(ctx context.Context, door *door) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go p.master.settle(ctx)
	go p.maintain(ctx)
	control := controlHandler(p.master)
	control.HandleFunc("PUT "+pathShape, p.putShape)
	commands := supervise.Signals(ctx)
	for failed := door.serve(control); ; {
		var next *supervise.Successor
		select {
		case c, ok := <-commands:
			switch {
			case !ok, c == supervise.CommandTerminate:
				p.terminate()
				return nil
			case c == supervise.CommandQuit:
				p.finish(ctx, commands)
				return nil
			}
			next = p.command(ctx, c, door)
		case ask := <-p.reshapings:
			next = p.reshape(ctx, ask, door)
		case err := <-failed:
			p.terminate()
			return fmt.Errorf("serve %s: %w", door.socket, err)
		}
		if next == nil {
			continue
		}
		if !p.giveWay(ctx, commands, door, next) {
			return nil
		}
		if err := p.goOn(ctx, door); err != nil {
			p.terminate()
			return err
		}
		failed = door.serve(control)
	}
}

// command does what a signal says. It returns the master that has taken over, if one has.
func (p *processes) command(ctx context.Context, c supervise.Command, door *door) (next *supervise.Successor) {
	p.master.log.Info("command", "command", c)
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	var err error
	switch c {
	case supervise.CommandReload:
		err = p.reload(ready)
	case supervise.CommandReopen:
		err = p.reopen(ready)
	case supervise.CommandUpgrade:
		next, err = p.upgrade(ready, door, os.Args[1:])
	case supervise.CommandStopWorkers:
		p.Drain(p.shape.DrainTimeout)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		p.master.log.Error("command failed; all goes on as before", "command", c, "error", err)
	}
	return next
}
