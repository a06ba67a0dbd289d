package l7

import (
	"context"
	"time"

	"lbctl/internal/scoreboard"
	"lbctl/internal/supervise"
)

// maintain keeps as many threads idle as the shape wants, until ctx ends: it starts
// processes and lets go of them, a step a second, as Apache does. A loop serves
// any number of clients, so there is nothing to do for that model.
func (p *processes) maintain(ctx context.Context) {
	if p.shape.Model == Loop {
		return
	}
	m := supervise.Maintenance{MinSpare: p.shape.MinSpare, MaxSpare: p.shape.MaxSpare, Max: p.shape.Processes}
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return
		}
		if p.Status().Wanted == 0 {
			continue // they were told to finish, for ever or until HUP
		}
		idle, total, spare := p.idle()
		spawn, reap := m.Step(idle, total)
		if spawn > 0 {
			p.master.log.Info("too few idle threads", "idle", idle, "processes", total, "starting", spawn)
			p.Spawn(spawn)
		}
		if reap > 0 && spare != nil {
			p.master.log.Info("too many idle threads", "idle", idle, "processes", total)
			_ = p.Retire(spare.Place) // it may have died in between
		}
	}
}

// idle counts idle threads, those that start included, and the processes that do
// not end, and finds one of these that can be spared, nil if none is idle as a whole.
func (p *processes) idle() (idle, total int, spare *supervise.Child) {
	waiting := map[int]int{} // threads by process slot
	for _, w := range p.master.board.Workers() {
		if w.State == scoreboard.Waiting || w.State == scoreboard.KeepAlive && p.shape.Model == Event { // who stays can be had back
			waiting[w.Child]++
		}
	}
	for _, c := range p.Status().Children {
		switch c.State {
		case supervise.Draining:
			continue
		case supervise.Starting:
			idle += p.shape.Threads
		default:
			idle += waiting[c.Slot]
			if waiting[c.Slot] == p.shape.Threads {
				spare = &c
			}
		}
		total++
	}
	return idle, total, spare
}
