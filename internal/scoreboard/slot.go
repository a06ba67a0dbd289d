package scoreboard

import (
	"os"
	"sync/atomic"
)

// Slot is a worker thread's place. Its methods are for its owner, except that the
// master clears it once the owner is dead. A reader sees each word whole, but
// not all words of one instant.
type Slot struct {
	// stateSince is the State in the low byte, and above it the time of its
	// beginning, which so is right to 256 ns. In one word they cannot disagree.
	stateSince  atomic.Int64
	pid         atomic.Int64
	generation  atomic.Uint64
	connections atomic.Int64
	requests    tally
	bytesIn     tally
	bytesOut    tally
	_           [line - 7*8]byte
}

// Slot returns a thread's place. Thread numbers begin at 0 in each process.
func (b *Board) Slot(child, thread int) *Slot { return &b.slots[child*b.sizes.Threads+thread] }

// Enter takes the slot for a thread of this process, with nothing on its account.
func (s *Slot) Enter(generation uint64) {
	s.clear()
	s.pid.Store(int64(os.Getpid()))
	s.generation.Store(generation)
	s.Set(Starting, Now())
}

// Set says what the worker does since now, which is a value of Now: an event
// loop reads the clock once per round.
func (s *Slot) Set(state State, now int64) { s.stateSince.Store(now&^0xff | int64(state)) }

// SetGeneration says which configuration the worker uses.
func (s *Slot) SetGeneration(generation uint64) { s.generation.Store(generation) }

// SetConnections says how many connections the worker has open.
func (s *Slot) SetConnections(n int) { s.connections.Store(int64(n)) }

// AddRequest counts a request that is over, and the bytes that its client sent and
// was sent. s may be nil: then nobody asks.
func (s *Slot) AddRequest(in, out uint64) {
	if s == nil {
		return
	}
	s.requests.add(1)
	s.bytesIn.add(in)
	s.bytesOut.add(out)
}

func (s *Slot) clear() {
	s.stateSince.Store(0)
	s.pid.Store(0)
	s.generation.Store(0)
	s.connections.Store(0)
	s.requests.clear()
	s.bytesIn.clear()
	s.bytesOut.clear()
}

// Worker is what a slot says, for readers.
type Worker struct {
	Child, Thread int
	PID           int
	Generation    uint64
	State         State
	Since         int64 // a value of Now, to 256 ns
	Connections   int64 // open
	Served
}

// Workers reads all slots up to the last process slot that was ever used.
func (b *Board) Workers() []Worker {
	last := len(b.children)
	for last > 0 && b.children[last-1].touched.Load() == 0 {
		last--
	}
	workers := make([]Worker, 0, last*b.sizes.Threads)
	for c := range last {
		for t := range b.sizes.Threads {
			w := Worker{State: Vacant}
			if b.children[c].touched.Load() != 0 {
				w = b.Slot(c, t).read()
			}
			w.Child, w.Thread = c, t
			workers = append(workers, w)
		}
	}
	return workers
}

func (s *Slot) read() Worker {
	w := Worker{State: Vacant, Connections: s.connections.Load(), Served: s.served()}
	if v := s.stateSince.Load(); v != 0 {
		w.State, w.Since = State(v&0xff), v&^0xff
	}
	w.PID, w.Generation = int(s.pid.Load()), s.generation.Load()
	return w
}
