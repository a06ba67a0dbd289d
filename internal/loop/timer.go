package loop

import "time"

// Timer calls a function once.
type Timer struct {
	alarm alarm
	l     *Loop
}

// After has f called when d has passed since Now, at most two ticks of 17 ms
// late. It allocates, and so is for rare things.
func (l *Loop) After(d time.Duration, f func()) *Timer {
	t := &Timer{l: l, alarm: alarm{f: f}}
	l.wheel.set(&t.alarm, l.Now()+max(int64(d), 1))
	return t
}

// Stop prevents the call, if it has not come yet.
func (t *Timer) Stop() {
	t.l.wheel.remove(&t.alarm)
	t.alarm.due = 0
}
