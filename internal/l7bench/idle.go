package main

import (
	"context"
	"errors"
	"time"
)

// settleTime is how long nothing happens before memory is read: longer than it
// takes to close what is over, and to give memory back that is not needed.
const settleTime = 3 * time.Second

// idle is the memory that connections take which only wait.
//
// What an engine has more when they have come than before is not the whole of it:
// nginx and HAProxy make room for as many as they are configured for when they
// start. So PerIdle compares with a process of the same engine that is configured
// for the case without idle connections and has had the same load: whatever is
// there for the idle ones' sake counts, whenever it was taken. What only grew is
// told beside it, and so is what the kernel holds on the engine's account, which is
// the descriptors and what waits for their events. TCP's part of a socket is on
// nobody's account, because it was made by a packet, and is alike for all.
type idle struct {
	Connections int   `json:"connections"`
	Without     int64 `json:"without"`  // bytes of an engine that has, and has room for, none of them
	With        int64 `json:"with"`     // of one that has all of them
	PerIdle     int64 `json:"per_idle"` // the difference, by connection
	Growth      int64 `json:"growth"`   // by connection: what it grew when they came
	Kernel      int64 `json:"kernel"`   // by connection: what the kernel took for it
}

// waiting is an engine's crowd, and what the engine had before and has now.
type waiting struct {
	crowd
	before, now memory
}

func (w waiting) memory(empty memory) *idle {
	n := int64(len(w.crowd))
	return &idle{
		Connections: len(w.crowd), Without: empty.own, With: w.now.own,
		PerIdle: (w.now.own - empty.own) / n, Growth: (w.now.own - w.before.own) / n, Kernel: (w.now.kernel - w.before.kernel) / n,
	}
}

// empty is the memory of an engine in the case without its idle connections.
func (b *bench) empty(ctx context.Context, e engine, c load) (m memory, err error) {
	c.idle = 0
	r, _, err := b.begin(ctx, e, c)
	if err != nil {
		return m, err
	}
	defer r.stop()
	err = settle(ctx)
	return r.group.memory(), err
}

// fill has the case's idle connections come.
func (b *bench) fill(ctx context.Context, r *running, s site, c load) (w waiting, err error) {
	if err := settle(ctx); err != nil {
		return w, err
	}
	w.before = r.group.memory()
	if w.crowd, err = gather(ctx, s.Front, c.idle); err != nil {
		return w, err
	}
	if err = settle(ctx); err == nil {
		w.now = r.group.memory()
		if gone := w.gone(); gone > 0 {
			err = &tooMany{c.idle - gone, c.idle, errors.New("it has closed the others")}
		}
	}
	if err != nil {
		w.close()
	}
	return w, err
}

func settle(ctx context.Context) error {
	select {
	case <-time.After(settleTime):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
