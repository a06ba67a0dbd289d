package l7

import (
	"slices"
	"time"

	"lbctl/internal/proxy"
)

// timer is one of a thread's, which are few.
type timer struct {
	due int64
	f   func()
}

// Stop implements proxy.Timer.
func (m *timer) Stop() { m.f = nil }

// After implements proxy.Driver.
func (t *thread) After(d time.Duration, f func()) proxy.Timer {
	m := &timer{t.now + int64(d), f}
	t.timers = append(t.timers, m)
	return m
}

// runTimers calls what is due, and forgets what was stopped.
func (t *thread) runTimers() {
	for i := 0; i < len(t.timers); i++ { // a call may add some
		if m := t.timers[i]; m.f != nil && m.due <= t.now {
			f := m.f
			m.f = nil
			f()
		}
	}
	t.timers = slices.DeleteFunc(t.timers, func(m *timer) bool { return m.f == nil })
}
