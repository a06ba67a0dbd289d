package l7

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// bell is a queue of things to do for a thread that waits in the kernel, and the
// descriptor that wakes it.
type bell struct {
	fd   int
	rung atomic.Bool // and not answered

	mu     sync.Mutex
	queue  []func()
	closed bool
}

func newBell() (*bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make eventfd: %w", err)
	}
	return &bell{fd: fd}, nil
}

// post queues f. After close nothing runs it.
func (b *bell) post(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.queue = append(b.queue, f)
	b.rung.Store(true)
	ring(b.fd) // with the lock: the number may be another descriptor's as soon as it is closed
}

// close must come when nobody answers any more.
func (b *bell) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return unix.Close(b.fd)
}

// answer does what is queued.
func (b *bell) answer() {
	var n [8]byte
	_, _ = unix.Read(b.fd, n[:])
	b.mu.Lock()
	queue := b.queue
	b.queue = nil
	b.rung.Store(false)
	b.mu.Unlock()
	for _, f := range queue {
		f()
	}
}

// ring adds one to an eventfd; it fails only when that is far from read.
func ring(fd int) {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(fd, one[:])
}
