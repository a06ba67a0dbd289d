package supervise

import (
	"context"
	"os"
	"syscall"
	"time"
)

// Predecessor is the master that has started this one and, once this one was ready,
// finishes what it has begun. Its methods do nothing when it is nil.
type Predecessor struct{ pid int }

// lives reports whether it has not ended: a process whose parent has gets another.
func (p *Predecessor) lives() bool { return p != nil && os.Getppid() == p.pid }

// Signal tells it something.
func (p *Predecessor) Signal(s syscall.Signal) {
	if p.lives() {
		_ = syscall.Kill(p.pid, s) // it may have ended just now
	}
}

// Wait returns when it has ended, or ctx.
func (p *Predecessor) Wait(ctx context.Context) {
	for pause := time.Millisecond; p.lives(); pause = min(2*pause, longestPause) {
		select {
		case <-time.After(pause): // nobody but init hears of a parent's end
		case <-ctx.Done():
			return
		}
	}
}

// longestPause is how late Wait may be: what it waits for can take hours.
const longestPause = 100 * time.Millisecond
