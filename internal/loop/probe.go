package loop

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Probe returns what Auto takes on this machine, and why in a sentence. It tries
// the operations themselves: a kernel's version does not say what a container's
// filter or a limit leaves of it.
func Probe() (Kind, string) {
	runtime.LockOSThread() // a ring belongs to a thread
	defer runtime.UnlockOSThread()
	if err := tryRing(); err != nil {
		return Epoll, "epoll: " + err.Error()
	}
	return URing, "io_uring: multishot receive, provided buffers"
}

func tryRing() error {
	r, err := newRing(ringEntries) // as large as a loop's, for the limit on locked memory
	if err != nil {
		return err
	}
	defer r.close()
	b, err := newBuffers(r, 0, false)
	if err != nil {
		return err
	}
	defer b.close()
	if err := r.enable(); err != nil {
		return err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("probe io_uring: %w", err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if _, err := unix.Write(pair[0], []byte{1}); err != nil {
		return fmt.Errorf("probe io_uring: %w", err)
	}
	return tryReceive(r, int32(pair[1]))
}

// tryReceive submits a receive that completes at once, and wants flags of its
// completion.
func tryReceive(r *ring, fd int32) error {
	e := r.next()
	e.op, e.fd, e.ioprio, e.flags = opRecv, fd, recvMulti, sqeBuffers
	errno := r.submit()
	if errno == 0 && r.empty() {
		errno = r.sleep(int64(1e8))
	}
	if r.empty() {
		return fmt.Errorf("io_uring: multishot receive: %w", errors.Join(errno, errors.New("nothing came")))
	}
	got := *r.at(r.head)
	r.head++
	r.free()
	const flags = cqeMore | cqeBuffer
	switch {
	case got.res < 0:
		return fmt.Errorf("io_uring: multishot receive: %w", unix.Errno(-got.res))
	case got.flags&flags != flags:
		return fmt.Errorf("io_uring: multishot receive: completed with flags %#x where %#x are needed", got.flags, flags)
	}
	return nil
}
