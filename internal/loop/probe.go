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
	return URing, "io_uring: multishot accept and receive, provided buffers"
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
	listener, client, err := unixConnection()
	if err != nil {
		return err
	}
	defer unix.Close(listener)
	defer unix.Close(client)

	e := r.next()
	e.op, e.fd, e.ioprio = opAccept, int32(listener), acceptMulti
	fd, err := tryOne(r, "multishot accept", cqeMore)
	if err != nil {
		return err
	}
	defer unix.Close(int(fd))
	if _, err := unix.Write(client, []byte{1}); err != nil {
		return fmt.Errorf("probe io_uring: %w", err)
	}
	e = r.next()
	e.op, e.fd, e.ioprio, e.flags = opRecv, fd, recvMulti, sqeBuffers
	_, err = tryOne(r, "multishot receive", cqeMore|cqeBuffer)
	return err
}

// tryOne submits an entry that completes at once, and wants flags of its
// completion.
func tryOne(r *ring, what string, flags uint32) (int32, error) {
	errno := r.submit()
	if errno == 0 && r.empty() {
		errno = r.sleep(int64(1e8))
	}
	if r.empty() {
		return 0, fmt.Errorf("io_uring: %s: %w", what, errors.Join(errno, errors.New("nothing came")))
	}
	e := *r.at(r.head)
	r.head++
	r.free()
	if e.res < 0 {
		return 0, fmt.Errorf("io_uring: %s: %w", what, unix.Errno(-e.res))
	}
	if e.flags&flags != flags {
		return 0, fmt.Errorf("io_uring: %s: completed with flags %#x where %#x are needed", what, e.flags, flags)
	}
	return e.res, nil
}

// unixConnection returns a listening socket and one that has connected to it. A
// network of its own may have no loopback interface that is up.
func unixConnection() (listener, client int, err error) {
	const kind = unix.SOCK_STREAM | unix.SOCK_CLOEXEC
	if listener, err = unix.Socket(unix.AF_UNIX, kind, 0); err != nil {
		return 0, 0, fmt.Errorf("probe io_uring: %w", err)
	}
	client, err = unix.Socket(unix.AF_UNIX, kind, 0)
	if err == nil {
		err = connectUnix(listener, client)
	}
	if err != nil {
		unix.Close(listener)
		unix.Close(client)
		return 0, 0, fmt.Errorf("probe io_uring: %w", err)
	}
	return listener, client, nil
}

// connectUnix binds to a name that the kernel chooses.
func connectUnix(listener, client int) error {
	if err := unix.Bind(listener, &unix.SockaddrUnix{}); err != nil {
		return err
	}
	if err := unix.Listen(listener, 1); err != nil {
		return err
	}
	name, err := unix.Getsockname(listener)
	if err != nil {
		return err
	}
	return unix.Connect(client, name)
}
