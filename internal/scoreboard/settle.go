package scoreboard

import "sync/atomic"

const (
	settleAfter = 5  // readings in a row that agree that a shared word is too high
	readTries   = 20 // to read all rows while none changes
)

// drift is how much a shared word was found too high, in readings in a row.
type drift struct {
	least    int64
	readings int
}

// Settle repairs what Reclaim cannot see. Call it about once a second.
//
// A process killed within Begin or End leaves a shared word one too high. With
// all rows read twice and unchanged, and the shared word read in between, it
// exceeds the rows' sum by those killed so, and by the threads that are just now
// within Begin or End. The latter pass in nanoseconds, so what is left in several
// readings is the former, and is taken off. Should a thread have been stopped
// there all the while, the word will be too low later: then the sum is above the
// word, which nothing else can cause, and the word is put right at once.
func (l *Ledger) Settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.cells {
		e := &l.cells[i]
		if e.key == "" {
			continue
		}
		s := &l.board.shared[i]
		l.settle(i, &e.flight, &s.InFlight, func(a *account) *held { return &a.inFlight })
		l.settle(i, &e.queued, &s.Queued, func(a *account) *held { return &a.queued })
	}
}

func (l *Ledger) settle(cell int, d *drift, shared *atomic.Int64, part func(*account) *held) {
	for range readTries {
		sum, before := l.sum(cell, part)
		excess := shared.Load() - sum
		if _, after := l.sum(cell, part); after != before {
			continue
		}
		shared.Add(-d.step(excess))
		return
	}
}

// sum adds up the rows. Changes only grow, so equal sums of them mean that no row
// has changed.
func (l *Ledger) sum(cell int, part func(*account) *held) (number int64, changes uint64) {
	for a := range l.accounts(cell) {
		n, c := part(a).read()
		number += n
		changes += c
	}
	return number, changes
}

// step takes a reading and returns what is to be taken off the shared word.
func (d *drift) step(excess int64) (correction int64) {
	switch {
	case excess <= 0:
		correction = excess
	case d.readings == 0:
		d.least, d.readings = excess, 1
		return 0
	default:
		d.least, d.readings = min(d.least, excess), d.readings+1
		if d.readings < settleAfter {
			return 0
		}
		correction = d.least
	}
	*d = drift{}
	return correction
}
