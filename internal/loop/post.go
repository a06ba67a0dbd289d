package loop

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// mail is what other goroutines want to be run. The lock is taken when something
// was posted, not in an iteration that nothing was posted in.
type mail struct {
	fd    int
	mu    sync.Mutex
	box   []func()
	taken []func()
}

// Post runs f on the loop soon. It may be called from anywhere; after Run has
// returned nothing runs it.
func (l *Loop) Post(f func()) {
	m := &l.mail
	m.mu.Lock()
	m.box = append(m.box, f)
	first := len(m.box) == 1
	m.mu.Unlock()
	if first {
		m.ring()
	}
}

func (m *mail) open() (err error) {
	if m.fd, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return fmt.Errorf("create eventfd: %w", err)
	}
	return nil
}

// ring wakes the loop. Each write is an event of its own, so nobody need read
// the counter: it would take 2^64 of them to fill it. The lock is for a Stop that
// comes when the loop is being closed.
func (m *mail) ring() {
	m.mu.Lock()
	defer m.mu.Unlock()
	one := [8]byte{1}
	_, _ = unix.Write(m.fd, one[:])
}

// read runs what is in the box.
func (m *mail) read() {
	m.mu.Lock()
	m.box, m.taken = m.taken[:0], m.box
	m.mu.Unlock()
	for i, f := range m.taken {
		m.taken[i] = nil
		f()
	}
}

func (m *mail) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	unix.Close(m.fd)
	m.fd = -1
}
