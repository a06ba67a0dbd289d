// Package netns makes network namespaces, gives them names, works inside them
// and finds the processes that live there. It never changes the namespace of a
// thread that other goroutines can run on.
package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// ErrNotNamespace is returned for a path that names something else than a
// network namespace, such as the empty file that a lost bind mount leaves.
var ErrNotNamespace = errors.New("not a network namespace")

// current names the namespace of the calling thread.
const current = "/proc/thread-self/ns/net"

// Handle is an open network namespace. The namespace lives at least as long as
// the handle is open. Methods may be called from any goroutine.
type Handle struct {
	file   *os.File
	cookie uint64
	inode  uint64
}

// New makes a fresh namespace with nothing in it but a loopback interface that
// is down. It has no name: it dies with the handle, unless pinned or entered.
func New() (*Handle, error) {
	var h *Handle
	err := onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare network namespace: %w", err)
		}
		var err error
		h, err = openCurrent()
		return err
	})
	return h, err
}

// Current opens the namespace of the calling thread.
func Current() (*Handle, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return openCurrent()
}

// Open opens the namespace at path: a bind mount or a link in /proc. The error
// is ErrNotNamespace if something else is there.
func Open(path string) (*Handle, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	kind, err := unix.IoctlRetInt(int(file.Fd()), unix.NS_GET_NSTYPE)
	if err != nil || kind != unix.CLONE_NEWNET {
		return nil, errors.Join(fmt.Errorf("open network namespace %s: %w", path, ErrNotNamespace), file.Close())
	}
	h := &Handle{file: file}
	err = h.Do(func() error { return h.identify() })
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return h, nil
}

// openCurrent needs a thread that stays in its namespace meanwhile.
func openCurrent() (*Handle, error) {
	file, err := os.Open(current)
	if err != nil {
		return nil, fmt.Errorf("open own network namespace: %w", err)
	}
	h := &Handle{file: file}
	if err := h.identify(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return h, nil
}

// identify must run inside the namespace.
func (h *Handle) identify() error {
	info, err := h.file.Stat()
	if err != nil {
		return fmt.Errorf("stat network namespace: %w", err)
	}
	h.inode = inodeOf(info)
	// Any socket tells the cookie; this family exists in every kernel.
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make socket: %w", err)
	}
	defer unix.Close(fd)
	h.cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return fmt.Errorf("get SO_NETNS_COOKIE (Linux 5.14 or later): %w", err)
	}
	return nil
}

// Cookie is the kernel's id of the namespace, never reused before a reboot.
func (h *Handle) Cookie() uint64 { return h.cookie }

// Inode is the number behind /proc/PID/ns/net. The kernel may reuse it once
// the namespace is gone; hold the handle open while comparing.
func (h *Handle) Inode() uint64 { return h.inode }

// Fd is the open file of the namespace, for netlink attributes that want one.
// It is valid until Close.
func (h *Handle) Fd() int { return int(h.file.Fd()) }

// Close lets go of the namespace.
func (h *Handle) Close() error { return h.file.Close() }
