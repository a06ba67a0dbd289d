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
// finish, QUIT ends after the requests in flight, ten seconds long at most. When
// ctx ends, as by TERM, it ends at once.
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
	slots := 2 * shape.Processes // two generations
	board, err := scoreboard.Create(scoreboard.Sizes{Children: slots, Threads: shape.Threads, Cells: maxCells})
	if err != nil {
		return nil, err
	}
	// It stays mapped: whoever asks for counters may read it to the end.
	m := newMaster(log, board)
	m.listeners = in.Listeners
	m.logFolder, m.errorLog = filepath.Join(filepath.Dir(socket), "log"), errorLog()
	p := newProcesses(m, shape, slots)
	m.workers = p
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := p.reload(ctx); err != nil {
		p.Terminate()
		return nil, err
	}
	return p, nil
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
	failed := door.serve(control)
	for commands := supervise.Signals(ctx); ; {
		select {
		case c, ok := <-commands:
			if ok && !p.command(ctx, c, door) {
				return nil
			}
			if ok {
				continue
			}
			p.master.stop()
			p.Terminate()
			return nil
		case ask := <-p.reshapings:
			if p.reshape(ctx, ask, door) {
				door.handOver()
				p.finish()
				return nil
			}
		case err := <-failed:
			p.master.stop()
			p.Terminate()
			return fmt.Errorf("serve %s: %w", door.socket, err)
		}
	}
}

// command does what a signal says, and reports whether the proxy goes on.
func (p *processes) command(ctx context.Context, c supervise.Command, door *door) bool {
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
		if err = p.upgrade(ready, door, os.Args[1:]); err == nil {
			door.handOver()
			p.finish()
			return false
		}
	case supervise.CommandStopWorkers:
		p.Drain()
	case supervise.CommandQuit:
		p.finish()
		return false
	case supervise.CommandTerminate:
		p.master.stop()
		p.Terminate()
		return false
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		p.master.log.Error("command failed; all goes on as before", "command", c, "error", err)
	}
	return true
}

// finish lets the workers answer what is in flight.
func (p *processes) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), stopDeadline)
	defer cancel()
	p.master.stop()
	p.Quit(ctx)
}
