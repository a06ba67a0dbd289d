package scoreboard

import "sync/atomic"

// Shared is what all processes know of a cell: the words that policies decide by
// (internal/balance says what they mean). One that every request writes has a
// cache line of its own; the last line is read by every decision and rarely
// written.
type Shared struct {
	InFlight atomic.Int64
	_        [line - 8]byte

	Turn atomic.Uint64 // of a service
	_    [line - 8]byte

	Latency  atomic.Uint64 // of a backend
	Outcomes atomic.Uint64 // of a backend
	Budget   atomic.Uint64 // of a service, for retries
	_        [line - 3*8]byte

	EjectedUntil atomic.Int64  // of a backend
	UpSince      atomic.Int64  // of a backend
	Ejecting     atomic.Uint64 // of a service
	Queued       atomic.Int64
	_            [line - 4*8]byte
}

// Shared returns the shared words of a cell.
func (b *Board) Shared(cell int) *Shared { return &b.shared[cell] }

// clear is for a cell that nobody uses.
func (s *Shared) clear() {
	for _, w := range []*atomic.Int64{&s.InFlight, &s.EjectedUntil, &s.UpSince, &s.Queued} {
		w.Store(0)
	}
	for _, w := range []*atomic.Uint64{&s.Turn, &s.Latency, &s.Outcomes, &s.Budget, &s.Ejecting} {
		w.Store(0)
	}
}
