package l7

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// hung is a folder of whose files none opens, as on a file system whose server has gone:
// open(2) asks fanotify(7), which does not answer.
type hung struct {
	fd      int
	release func() // all opens go on, and those that come
}

func hang(t *testing.T, folder string) *hung {
	t.Helper()
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY)
	if err == nil {
		err = unix.FanotifyMark(fd, unix.FAN_MARK_ADD, unix.FAN_OPEN_PERM|unix.FAN_EVENT_ON_CHILD, unix.AT_FDCWD, folder)
	}
	if err != nil {
		t.Skipf("this machine lacks fanotify's permission events: %v", err)
	}
	h := &hung{fd: fd, release: sync.OnceFunc(func() { unix.Close(fd) })}
	t.Cleanup(h.release)
	return h
}

// waiting returns the processes that have begun to wait since it was asked last.
func (h *hung) waiting() (pids []int) {
	var event unix.FanotifyEventMetadata
	b := make([]byte, unsafe.Sizeof(event))
	for {
		if n, err := unix.Read(h.fd, b); err != nil || n != len(b) {
			return pids
		}
		event = *(*unix.FanotifyEventMetadata)(unsafe.Pointer(&b[0]))
		unix.Close(int(event.Fd))
		pids = append(pids, int(event.Pid))
	}
}

// inTime fails if f takes much longer than it may.
func inTime(t *testing.T, what string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatalf("%s waits for ever", what)
		return nil
	}
}

func TestALogThatDoesNotOpenHoldsUpNoConfiguration(t *testing.T) {
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	folder := t.TempDir()
	s.HTTP.AccessLog.Path = filepath.Join(folder, "web.log")
	l.apply()
	h := hang(t, folder)
	s.Backends[0].Weight = 2
	if err := inTime(t, "a snapshot without a new log", func() error { return l.proxy.apply(l.next()) }); err != nil {
		t.Error(err)
	}
	more := l.service("more", lb.RoundRobin)
	more.HTTP.AccessLog.Path = filepath.Join(folder, "more.log")
	err := inTime(t, "a snapshot with a new log", func() error { return l.proxy.apply(l.next()) })
	if err == nil || !strings.Contains(err.Error(), "more.log: the file does not answer") {
		t.Errorf("apply with a log that does not open = %v", err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := l.proxy.checkLog(soon, more.HTTP.AccessLog.Path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second look at it = %v", err)
	}
	if n := len(h.waiting()); n != 1 {
		t.Errorf("%d threads wait for the log, want 1 that all ask", n)
	}
	h.release()
	l.apply()
	h = hang(t, folder)
	defer h.release()
	_ = inTime(t, "a worker", func() error {
		l.engine.logs.Log(lb.AccessLog{Path: filepath.Join(folder, "third.log")}, func(int) {})
		return nil
	})
}

func TestAHungLogThatIsReopenedKillsNoWorker(t *testing.T) {
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	folder := t.TempDir()
	path := filepath.Join(folder, "web.log")
	s.HTTP.AccessLog.Path = path
	o := planeOptions(t)
	o.Shape = Shape{Model: Threads, Start: 2, MinSpare: 1, MaxSpare: 100}
	p := openPlane(t, o)
	defer endProxy(t, p)
	l.applyTo(p)
	l.get(s)
	workers := childrenOf(t, p.PID())
	eventually(t, 10*time.Second, func() error { return openIn(workers, path) })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	h := hang(t, folder)
	defer h.release()
	if err := syscall.Kill(p.PID(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	missing := slices.Clone(workers)
	eventually(t, 10*time.Second, func() error {
		for _, pid := range h.waiting() {
			missing = slices.DeleteFunc(missing, func(w int) bool { return w == pid })
		}
		if len(missing) > 0 {
			return fmt.Errorf("workers %d do not wait for the log", missing)
		}
		return nil
	})
	for range 3 {
		s.Backends[0].Weight++
		l.applyTo(p)
	}
	l.get(s)
	if now := childrenOf(t, p.PID()); !slices.Equal(now, workers) {
		t.Errorf("workers %d, were %d", now, workers)
	}
	h.release()
	eventually(t, 10*time.Second, func() error { return openIn(workers, path) })
}

// openIn reports whether all these processes have a file open.
func openIn(pids []int, path string) error {
	for _, pid := range pids {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		if !slices.ContainsFunc(files, func(fd string) bool {
			to, err := os.Readlink(fd)
			return err == nil && to == path
		}) {
			return errors.New(path + " is not open in process " + fmt.Sprint(pid))
		}
	}
	return nil
}
