package scoreboard

import (
	"sync/atomic"
	"time"

	"lbctl/internal/lb"
)

// Results are numbers below this.
const Results = 500

// Event is something that happens to a cell's requests and is counted.
type Event int

// The events.
const (
	ClientLeft   Event = iota // before it had its answer
	BackendBroke              // an attempt failed, or an answer broke off
	TimedOut                  // either side was too slow
	Ejected                   // a backend, for how it answered
	Unlogged                  // a line that the access log had no room for
	Removed                   // a request that the proxy itself cut off, for its service has gone or its time to finish is over
	NumEvents
)

// detail is what a process slot has counted of a cell beyond its account: how long
// requests took, in the first page, and how they ended. A cell that nobody counts
// in takes no memory for it.
type detail struct {
	head, whole Histogram
	results     [Results]atomic.Uint64
	events      [NumEvents]atomic.Uint64
	_           [page - (Results+int(NumEvents))*8]byte
}

// Details are a cell's over all processes, the dead ones included.
type Details struct {
	Head, Whole lb.Latency
	Results     map[int]uint64 // without those that there were none of
	Events      [NumEvents]uint64
}

// AddResult counts a request by how it ended.
func (c Cell) AddResult(result int) {
	if c.detail != nil && uint(result) < Results {
		c.detail.results[result].Add(1)
	}
}

// AddEvents counts an event that has happened n times.
func (c Cell) AddEvents(e Event, n int) {
	if c.detail != nil {
		c.detail.events[e].Add(uint64(n))
	}
}

// AddHead counts the time to the first byte of an answer.
func (c Cell) AddHead(d time.Duration) {
	if c.detail != nil {
		c.detail.head.add(d)
	}
}

// AddWhole counts the time to the last one.
func (c Cell) AddWhole(d time.Duration) {
	if c.detail != nil {
		c.detail.whole.add(d)
	}
}

// Details adds up a cell's rows.
func (l *Ledger) Details(cell int) Details {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := Details{Results: map[int]uint64{}}
	var head, whole times
	for c := range l.board.children {
		if !l.board.used(c, cell) {
			continue
		}
		own := l.board.detail(c, cell)
		own.head.addTo(&head)
		own.whole.addTo(&whole)
		for i := range own.results {
			if n := own.results[i].Load(); n > 0 {
				d.Results[i] += n
			}
		}
		for i := range own.events {
			d.Events[i] += own.events[i].Load()
		}
	}
	d.Head, d.Whole = head.latency(), whole.latency()
	return d
}

// used reports whether a process slot has had anything of a cell. Reading a detail
// that was never written to would give it memory, so whoever writes to one has
// counted a connection or a request in the account before.
func (b *Board) used(child, cell int) bool {
	if b.children[child].touched.Load() == 0 {
		return false
	}
	a := &b.accounts[child*b.sizes.Cells+cell]
	return a.connections.Load() != 0 || a.requests.Load() != 0
}

func (b *Board) detail(child, cell int) *detail { return &b.details[child*b.sizes.Cells+cell] }

func (d *detail) clear() {
	for _, h := range []*Histogram{&d.head, &d.whole} {
		h.sum.Store(0)
		for i := range h.counts {
			h.counts[i].Store(0)
		}
	}
	for i := range d.results {
		d.results[i].Store(0)
	}
	for i := range d.events {
		d.events[i].Store(0)
	}
}
