package traffic

import "time"

// lateness is what an open loop tolerates before it says that a request left
// late or waited for a connection.
const lateness = time.Millisecond

// arrival is one request of the schedule.
type arrival struct {
	due    time.Duration // when it should leave
	handed time.Duration // when it was put into the queue
}

// schedule hands out the requests of an open loop when they are due: request i at
// i/Rate, whatever became of the earlier ones. Spacing is constant, so that
// every arm of a comparison meets the same arrivals. Of several loops each has
// every nth. A request goes to the connection that has been idle for longest; if
// none is it waits in a queue that holds a second's worth (at least one per
// connection), and what finds that full is dropped and counted.
type schedule struct {
	Schedule
	loop  *loadLoop
	next  int // number of the next request
	step  int
	room  int // in the queue
	queue fifo[arrival]
	idle  fifo[*worker]
	over  bool // no request is due any more
}

func newSchedule(l *loadLoop, index int) *schedule {
	n := min(l.g.load.Loops, l.g.load.Connections)
	room := min(max(l.g.load.Connections, int(l.g.load.Rate)), 1<<20)
	return &schedule{loop: l, next: index, step: n, room: max(room/n, 1)}
}

// run hands out what is due and returns when the next request is, -1 if there is
// none.
func (s *schedule) run() time.Duration {
	g := s.loop.g
	for !s.over {
		due := time.Duration(float64(s.next) * float64(time.Second) / g.load.Rate)
		now := g.now()
		if due > now {
			return due
		}
		s.next += s.step
		measured := g.load.measured(due)
		if g.stopped.Load() || g.load.over(due) || measured && !g.take() {
			s.end()
			break
		}
		s.hand(arrival{due: due, handed: now}, measured)
	}
	return -1
}

func (s *schedule) hand(a arrival, measured bool) {
	if measured {
		s.Due++
		if by := a.handed - a.due; by > lateness {
			s.Late++
			s.MaxLate = max(s.MaxLate, by)
		}
	}
	switch {
	case s.idle.len() > 0:
		s.idle.pop().begin(a.due, measured)
	case s.queue.len() < s.room:
		s.queue.push(a)
	default:
		s.drop(measured)
	}
}

func (s *schedule) drop(measured bool) {
	if measured {
		s.Dropped++
		s.loop.g.failed()
	}
}

// free gives w the request that has waited for longest.
func (s *schedule) free(w *worker, now time.Duration) {
	g := s.loop.g
	for s.queue.len() > 0 {
		a := s.queue.pop()
		measured, waited := g.load.measured(a.due), now-a.handed
		if waited > g.load.Timeout {
			s.drop(measured)
			continue
		}
		if measured && waited > lateness {
			s.Queued++
		}
		w.begin(a.due, measured)
		return
	}
	if s.over {
		w.end()
		return
	}
	s.idle.push(w)
}

func (s *schedule) end() {
	s.over = true
	s.loop.spent()
	for s.idle.len() > 0 {
		s.idle.pop().end()
	}
}
