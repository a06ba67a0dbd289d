package netns

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Do runs f in a goroutine of its own, on a thread inside the namespace. What
// f itself makes there (sockets, processes, links) belongs to the namespace;
// goroutines that f starts run outside. A panic in f, or t.FailNow, reaches
// the caller.
func (h *Handle) Do(f func() error) error {
	return onOwnThread(func() error {
		if err := unix.Setns(int(h.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// Start starts cmd inside the namespace: it is forked from a thread there, so
// the whole process lives in it from its first instruction on.
func (h *Handle) Start(cmd *exec.Cmd) error {
	return h.Do(cmd.Start)
}

// Netlink opens a route netlink handle whose sockets are inside the namespace.
func (h *Handle) Netlink() (*netlink.Handle, error) {
	var nl *netlink.Handle
	err := h.Do(func() (err error) {
		nl, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open netlink in namespace: %w", err)
	}
	return nl, nil
}

// outcome is how a function ended: err, or a panic, or runtime.Goexit.
type outcome struct {
	err      error
	panicked any
	returned bool
}

// onOwnThread runs f on a locked thread and puts the thread back into the
// namespace it came from. A thread that cannot go back dies with its goroutine
// instead of carrying other goroutines into the wrong namespace.
func onOwnThread(f func() error) error {
	result := make(chan outcome, 1)
	go runLocked(f, result)
	switch out := <-result; {
	case out.panicked != nil:
		panic(out.panicked)
	case !out.returned:
		runtime.Goexit() // as f did
		return nil
	default:
		return out.err
	}
}

func runLocked(f func() error, result chan<- outcome) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The process as a whole is judged by its main thread (/proc/PID/ns/net),
		// so that one must not travel. It is ours and busy now: the next is another.
		done := make(chan outcome, 1)
		go runLocked(f, done)
		result <- <-done
		runtime.UnlockOSThread()
		return
	}
	origin, err := os.Open(current)
	if err != nil {
		runtime.UnlockOSThread()
		result <- outcome{err: fmt.Errorf("open own network namespace: %w", err), returned: true}
		return
	}
	var out outcome
	defer func() {
		if !out.returned {
			out.panicked = recover()
		}
		if err := unix.Setns(int(origin.Fd()), unix.CLONE_NEWNET); err == nil {
			runtime.UnlockOSThread()
		}
		if err := origin.Close(); err != nil && out.err == nil {
			out.err = err // never joined: callers look at the type of f's error
		}
		result <- out
	}()
	out.err = f()
	out.returned = true
}
