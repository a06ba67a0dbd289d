package l7

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/supervise"
)

// lockPatience is how long a new proxy waits for one that has just been killed
// and is still letting go of its files.
const lockPatience = 500 * time.Millisecond

// ErrRunning means that another proxy process serves the socket.
var ErrRunning = errors.New("another proxy serves this socket")

// doorVariable tells a new binary that it has inherited the control socket and its
// lock, as the descriptors below.
const (
	doorVariable = "LBCTL_L7_DOOR"
	doorFD       = 3
	lockFD       = 4
)

// door is the control socket, and the lock that says whose it is.
type door struct {
	socket    string
	listener  *net.UnixListener
	lock      *os.File
	server    *http.Server
	inherited bool
	handed    bool // to a new binary
}

// openDoor takes over the door of the binary that started this one, or makes one.
func openDoor(socket string) (*door, error) {
	d := &door{socket: socket}
	if os.Getenv(doorVariable) != "" {
		_ = os.Unsetenv(doorVariable)
		return d, d.inherit()
	}
	var err error
	if d.lock, err = lockSocket(socket); err != nil {
		return nil, err
	}
	if d.listener, err = listenUnix(socket); err != nil {
		d.lock.Close()
		return nil, err
	}
	return d, nil
}

func (d *door) inherit() error {
	unix.CloseOnExec(lockFD)
	d.lock = os.NewFile(lockFD, "lock")
	return d.adopt(os.NewFile(doorFD, "control"))
}

// adopt takes a control socket that another binary still has. Until own is called
// its path stays when the door closes: it is the other one's.
func (d *door) adopt(f *os.File) error {
	defer f.Close()
	ln, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("inherit control socket: %w", err)
	}
	unixListener, ok := ln.(*net.UnixListener)
	if !ok {
		ln.Close()
		return fmt.Errorf("inherit control socket: it is of network %s", ln.Addr().Network())
	}
	unixListener.SetUnlinkOnClose(false)
	d.listener, d.inherited = unixListener, true
	return nil
}

// own makes the path this door's.
func (d *door) own() { d.listener.SetUnlinkOnClose(true) }

// serve answers at the door. The channel gets why it does not any more.
func (d *door) serve(h http.Handler) <-chan error {
	d.server = &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- d.server.Serve(d.listener) }()
	return failed
}

// handOver leaves the door to a new binary, which has it already. The lock stays with
// both, until letGo.
func (d *door) handOver() {
	d.handed = true
	d.listener.SetUnlinkOnClose(false)
	d.server.Close()
}

// letGo leaves the lock to the new binary. When that one dies another may serve the
// socket, be this one there still or not.
func (d *door) letGo() { d.lock.Close() }

// takeBack makes the door anew, after the new binary has died, of which the lock was not
// let go.
func (d *door) takeBack() (err error) {
	d.listener, err = listenUnix(d.socket)
	d.handed = err != nil
	return err
}

// close must come last, so that whoever watches finds the lock free soon after.
func (d *door) close() {
	if d.server != nil && !d.handed {
		d.server.Close()
	}
	d.listener.Close()
	d.lock.Close()
}

// share is another descriptor of the control socket. UnixListener.File would let
// the socket block as soon as a command is started with it, here too.
func (d *door) share() (*os.File, error) {
	raw, err := d.listener.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	if controlErr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3) }); controlErr != nil {
		return nil, controlErr
	}
	return os.NewFile(uintptr(fd), "control"), err
}

// upgrade starts the file that this binary was started from, which may be another
// one by now, with such arguments as a new master beside this one.
func (p *processes) upgrade(ctx context.Context, d *door, args []string) (next *supervise.Successor, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p.master.hand(true)
	defer func() {
		if err != nil {
			p.deferAgain()
			p.master.hand(false)
		}
	}()
	control, err := d.share()
	if err != nil {
		return nil, fmt.Errorf("hand over control socket: %w", err)
	}
	defer control.Close()
	cmd := exec.Command(strings.TrimSuffix(self, " (deleted)"), args...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), doorVariable+"=1")
	cmd.ExtraFiles = []*os.File{control, d.lock}
	return supervise.Upgrade(ctx, cmd, p.master.listeners)
}

func lockSocket(socket string) (*os.File, error) {
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
	return f, nil
}

// listenUnix must be called with the lock held: a socket file that is there then
// belongs to nobody.
func listenUnix(socket string) (*net.UnixListener, error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove stale socket: %w", err)
	}
	old := unix.Umask(0o177) // the socket is born 0600; a log that is made in this moment has no more than it needs, either
	ln, err := net.Listen("unix", socket)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen on control socket: %w", err)
	}
	return ln.(*net.UnixListener), nil
}
