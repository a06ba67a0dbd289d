package l7

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/scoreboard"
)

// lockPatience is how long a new proxy waits for one that has just been killed
// and is still letting go of its files.
const lockPatience = 500 * time.Millisecond

// ErrRunning means that another proxy process serves the socket.
var ErrRunning = errors.New("another proxy serves this socket")

// maxCells is how many services and backends can be counted.
const maxCells = 16 << 10

// Run is the proxy's master process: it serves the control endpoint on a unix
// socket (mode 0600) and has worker processes forward what the snapshots sent
// there say, until ctx ends; then they answer the requests in flight, ten seconds
// long at most. It returns ErrRunning if another process has the socket, which a
// lock on SOCKET.lock ensures: the kernel drops the lock when its holder dies,
// whatever it dies of.
func Run(ctx context.Context, socket string, log *slog.Logger) error {
	unlock, err := lockSocket(socket)
	if err != nil {
		return err
	}
	defer unlock()
	ln, err := listenUnix(socket)
	if err != nil {
		return err
	}
	defer ln.Close()
	n := runtime.NumCPU()
	slots := 2*n + 2 // two generations
	board, err := scoreboard.Create(scoreboard.Sizes{Children: slots, Threads: 1, Cells: maxCells})
	if err != nil {
		return err
	}
	// It stays mapped: whoever asks for counters may still read it, and this process ends.
	m := newMaster(log, board)
	m.logFolder = filepath.Join(filepath.Dir(socket), "log")
	p := newProcesses(m, slots)
	m.workers = p
	if err := p.Reload(ctx, 1, n); err != nil {
		p.Terminate()
		return err
	}
	go m.settle(ctx)
	control := &http.Server{Handler: controlHandler(m), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- control.Serve(ln) }()
	log.Info("proxy runs", "socket", socket, "pid", os.Getpid(), "workers", n)
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
		err = fmt.Errorf("serve %s: %w", socket, err)
	}
	deadline, cancel := context.WithTimeout(context.Background(), stopDeadline)
	defer cancel()
	m.stop()
	p.Quit(deadline)
	control.Close() // last, so that whoever watches finds the lock free soon after
	log.Info("proxy stopped", "socket", socket)
	return err
}

func lockSocket(socket string) (unlock func(), err error) {
	f, err := os.OpenFile(socket+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock socket: %w", err)
	}
	for wait := lockPatience; ; wait -= pollInterval {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || wait <= 0 {
			break
		}
		time.Sleep(pollInterval)
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrRunning
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", socket, err)
	}
	return func() { f.Close() }, nil
}

// listenUnix must be called with the lock held: a socket file that is there then
// belongs to nobody.
func listenUnix(socket string) (net.Listener, error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove stale socket: %w", err)
	}
	old := unix.Umask(0o177) // the socket is born 0600; nothing else makes files now
	ln, err := net.Listen("unix", socket)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen on control socket: %w", err)
	}
	return ln, nil
}
