package l7

import "time"

// stayTime is how long, in the model event, a thread stays with a client that it has
// answered, if no other client needs the thread: handing the client over and back costs
// more than a request (docs/l7-performance.md).
const stayTime = 50 * time.Millisecond

// stay is a thread's, with its client.
type stay struct {
	until int64  // when it ends; 0: there is none, or it has ended
	on    bool   // since the client was answered
	place int    // in desk.staying; -1: the desk has struck it off
	end   func() // ends it
}

// goesOn reports whether the thread stays with its client, which has nothing to do.
func (s *stay) goesOn(t *thread) bool {
	if !s.on {
		if !t.desk.stays(t) {
			return false
		}
		s.on, s.until = true, t.now+int64(stayTime)
	}
	if t.now >= s.until {
		s.until = 0
	}
	return s.until > 0
}

// over ends a stay, if there is one; busy says that the client has something for the thread to do.
func (s *stay) over(t *thread, busy bool) {
	if s.on {
		s.on, s.until = false, 0
		t.desk.leaves(t, busy)
	}
}

// stays notes that t can be had back, unless it is needed at once.
func (d *desk) stays(t *thread) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) > d.resting {
		return false
	}
	t.stay.place = len(d.staying)
	d.staying = append(d.staying, t)
	return true
}

// leaves notes that t is with its client no more or, busy, has to do with it. Then, if it was called, another one is.
func (d *desk) leaves(t *thread, busy bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case t.stay.place >= 0:
		d.strike(t)
	case busy:
		d.call()
	}
}

// call has a thread that stays with a client leave it, if more clients wait than threads are at rest.
// d.mu is locked.
func (d *desk) call() {
	if n := len(d.staying); n > 0 && len(d.queue) > d.resting {
		t := d.staying[n-1]
		d.strike(t)
		t.bell.post(t.stay.end)
	}
}

// strike takes t off the list. d.mu is locked.
func (d *desk) strike(t *thread) {
	last := d.staying[len(d.staying)-1]
	d.staying[t.stay.place], last.stay.place = last, t.stay.place
	d.staying = d.staying[:len(d.staying)-1]
	t.stay.place = -1
}
