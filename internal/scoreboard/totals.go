package scoreboard

import "iter"

// Totals are a cell's counts over all processes, the dead ones included, so they
// never go back; and what it has in flight and waiting now.
type Totals struct {
	Connections, Requests, BytesIn, BytesOut, Errors, Retries uint64
	InFlight, Queued                                          int64
}

// Totals adds up a cell's rows.
func (l *Ledger) Totals(cell int) (t Totals) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for a := range l.accounts(cell) {
		t.Connections += a.connections.Load()
		t.Requests += a.requests.Load()
		t.BytesIn += a.bytesIn.Load()
		t.BytesOut += a.bytesOut.Load()
		t.Errors += a.errors.Load()
		t.Retries += a.retries.Load()
	}
	s := l.board.Shared(cell)
	t.InFlight, t.Queued = max(s.InFlight.Load(), 0), max(s.Queued.Load(), 0)
	return t
}

// accounts are the cell's accounts in all rows that were ever used. Reading
// another would give it a page of memory.
func (l *Ledger) accounts(cell int) iter.Seq[*account] {
	return func(yield func(*account) bool) {
		b := l.board
		for c := range b.children {
			if b.children[c].touched.Load() != 0 && !yield(&b.accounts[c*b.sizes.Cells+cell]) {
				return
			}
		}
	}
}

func (a *account) clear() {
	a.connections.Store(0)
	a.requests.Store(0)
	a.bytesIn.Store(0)
	a.bytesOut.Store(0)
	a.errors.Store(0)
	a.retries.Store(0)
	a.inFlight.drop()
	a.queued.drop()
}
