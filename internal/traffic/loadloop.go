package traffic

import (
	"fmt"
	"time"

	"lbctl/internal/http1"
	"lbctl/internal/loop"
)

// kind is what loops are made of: what Probe recommends, but for tests.
var kind = loop.Auto

// loadLoop is one event loop with its share of the connections. It keeps its own
// counts, which are read when it has ended.
type loadLoop struct {
	g        *generator
	events   *loop.Loop
	origin   int64 // on the loop's clock, of the run's
	workers  []*worker
	working  int       // workers that have not ended
	schedule *schedule // of an open loop
	pauses   alarms[*worker]
	pace     func(int64) int64
	head     http1.Response // scratch
	spent    func()         // to be called when no further request will be sent
	err      error

	requests, answered, connections, bytesIn, bytesOut uint64

	latency Histogram
	errors  map[string]uint64
	servers tally
}

func newLoadLoop(g *generator, index int) (*loadLoop, error) {
	events, err := loop.New(loop.Options{Kind: kind})
	if err != nil {
		return nil, err
	}
	l := &loadLoop{g: g, events: events, errors: map[string]uint64{}, servers: tally{by: map[string]*served{}}}
	if g.load.Rate > 0 {
		l.schedule = newSchedule(l, index)
	}
	l.pace = l.tick
	return l, nil
}

func (l *loadLoop) run(spent func()) {
	l.spent = spent
	l.origin = l.events.Now() - int64(l.g.now())
	l.working = len(l.workers)
	if l.schedule != nil {
		for _, w := range l.workers {
			l.schedule.idle.push(w)
		}
		l.events.Pace(l.pace)
	} else {
		for _, w := range l.workers {
			w.again(l.g.now())
		}
	}
	if err := l.events.Run(); err != nil {
		l.err = fmt.Errorf("generate load: %w", err)
	}
}

// tick does what is due and returns when the next is, on the loop's clock.
func (l *loadLoop) tick(int64) int64 {
	next := time.Duration(-1)
	if l.schedule != nil {
		next = l.schedule.run()
	}
	for {
		at, ok := l.pauses.next()
		switch {
		case !ok:
		case at <= int64(l.g.now()):
			w := l.pauses.pop()
			w.again(l.g.now())
			continue
		case next < 0 || time.Duration(at) < next:
			next = time.Duration(at)
		}
		if next < 0 {
			return 0
		}
		return max(l.origin+int64(next), 1)
	}
}

// wake has w go on at a time of the run's clock.
func (l *loadLoop) wake(w *worker, at time.Duration) {
	l.pauses.add(int64(at), w)
	l.events.Pace(l.pace)
}

// count counts an error, unless it is of our own making.
func (l *loadLoop) count(measured bool, kind string) {
	if measured && !l.g.stopped.Load() {
		l.errors[kind]++
		l.g.failed()
	}
}

// leave: a worker will send no more.
func (l *loadLoop) leave() {
	if l.working--; l.working == 0 {
		l.spent()
		l.events.Stop()
	}
}

func (l *loadLoop) addTo(r *Result) {
	r.Requests += l.requests
	r.Answered += l.answered
	r.Connections += l.connections
	r.BytesIn += l.bytesIn
	r.BytesOut += l.bytesOut
	r.Latency.Merge(l.latency)
	for kind, n := range l.errors {
		r.Errors[kind] += n
	}
	for name, s := range l.servers.by {
		if s.answers > 0 {
			r.Servers[name] += s.answers
		}
	}
	if s := l.schedule; s != nil {
		r.Schedule.Due += s.Due
		r.Schedule.Late += s.Late
		r.Schedule.MaxLate = max(r.Schedule.MaxLate, s.MaxLate)
		r.Schedule.Queued += s.Queued
		r.Schedule.Dropped += s.Dropped
	}
}
