package scoreboard

import (
	"math"
	"sync/atomic"
)

// Shared is what all processes know of a cell. A word that every request writes
// has a cache line of its own; the last line is read by every decision and
// rarely written.
type Shared struct {
	inFlight atomic.Int64
	_        [line - 8]byte

	turn atomic.Uint64
	_    [line - 8]byte

	latency atomic.Uint64 // bits of a float64
	_       [line - 8]byte

	ejectedUntil atomic.Int64
	failures     atomic.Int64
	queued       atomic.Int64
	_            [line - 3*8]byte
}

// Shared returns the shared words of a cell.
func (b *Board) Shared(cell int) *Shared { return &b.shared[cell] }

// InFlight is what all processes together have in flight.
func (s *Shared) InFlight() int64 { return max(s.inFlight.Load(), 0) }

// Queued is how many wait in all processes together.
func (s *Shared) Queued() int64 { return max(s.queued.Load(), 0) }

// Turn returns 0, 1, 2 … to all callers in all processes, each number once.
func (s *Shared) Turn() uint64 { return s.turn.Add(1) - 1 }

// Latency is the average of what Observe was told; 0 before that.
func (s *Shared) Latency() float64 { return math.Float64frombits(s.latency.Load()) }

// Observe moves the average latency towards the sample by the weight, which is
// above 0 and at most 1. The first sample is the average.
func (s *Shared) Observe(sample, weight float64) {
	for {
		old := s.latency.Load()
		next := sample
		if average := math.Float64frombits(old); old != 0 {
			next = average + weight*(sample-average)
		}
		if s.latency.CompareAndSwap(old, math.Float64bits(next)) {
			return
		}
	}
}

// Fail counts a failure and returns how many there were in a row.
func (s *Shared) Fail() int64 { return s.failures.Add(1) }

// Succeed ends a row of failures. It writes only if there is one.
func (s *Shared) Succeed() {
	if s.failures.Load() != 0 {
		s.failures.Store(0)
	}
}

// Failures is the number of failures in a row.
func (s *Shared) Failures() int64 { return s.failures.Load() }

// Eject takes the cell out of service until a time, and reports whether it was
// in service: of several callers at once, one is told true.
func (s *Shared) Eject(now, until int64) bool {
	old := s.ejectedUntil.Load()
	return old <= now && s.ejectedUntil.CompareAndSwap(old, until)
}

// Readmit ends an ejection.
func (s *Shared) Readmit() { s.ejectedUntil.Store(0) }

// EjectedUntil is the time until which the cell is out of service; one that has
// passed means nothing.
func (s *Shared) EjectedUntil() int64 { return s.ejectedUntil.Load() }

// clear is for a cell that nobody uses.
func (s *Shared) clear() {
	s.inFlight.Store(0)
	s.turn.Store(0)
	s.latency.Store(0)
	s.ejectedUntil.Store(0)
	s.failures.Store(0)
	s.queued.Store(0)
}
