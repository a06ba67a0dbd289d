package l7

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// deferral is for how many seconds the kernel keeps a connection whose client says nothing, 0 for not at all. Where a
// client holds a process or a thread, it is to come with a request: Apache asks for the same (AcceptFilter), nginx does if
// it is told (listen, deferred). It spares a thread the wait for the request, too (docs/l7-performance.md).
func deferral(m Model) int {
	if m == Loop {
		return 0 // a connection costs memory, whether here or there
	}
	return 1
}

// deferAccept sets the deferral of whoever shares the socket, so that a new model's workers undo what the old one's
// have set. Who still says nothing when the time is over is accepted nevertheless, when the kernel has repeated its
// SYN-ACK (tcp(7), TCP_DEFER_ACCEPT).
func (f *front) deferAccept(seconds int) error {
	if err := deferAt(f.descriptor, seconds); err != nil {
		return fmt.Errorf("defer clients of %s: %w", f.VIP, err)
	}
	return nil
}

func deferAt(descriptor, seconds int) error {
	return unix.SetsockoptInt(descriptor, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, seconds)
}

// deferAgain undoes what the workers of another model have set whose master has not come up.
func (p *processes) deferAgain() {
	for _, s := range p.master.listeners.Sockets() {
		_ = deferAt(int(s.File.Fd()), deferral(p.shape.Model)) // clients are served either way
	}
}
