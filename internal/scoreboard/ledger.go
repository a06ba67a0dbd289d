package scoreboard

import (
	"errors"
	"fmt"
	"sync"
)

// ErrFull means that there are more services and backends than cells, those
// counted that workers with an older configuration may still use.
var ErrFull = errors.New("all cells are in use")

// Ledger is the master's side of a board: it says who has which cell, and settles
// the accounts of the dead. Its methods are safe for concurrent use.
type Ledger struct {
	board *Board

	mu    sync.Mutex
	index map[string]int // also of retired cells, until another gets them
	cells []entry
	past  Served // by workers that are dead
}

// entry is what the ledger knows of a cell.
type entry struct {
	key            string
	retired        uint64 // the first generation without it; 0: it is in use
	flight, queued drift
}

// NewLedger returns the ledger of a board that has just been created.
func NewLedger(b *Board) *Ledger {
	return &Ledger{board: b, index: map[string]int{}, cells: make([]entry, b.sizes.Cells)}
}

// Retain gives the configuration of that generation its cells, one per key, and
// retires all others. A key keeps its cell and its counts as long as it is
// retained; a retired cell goes to another key only when every living process
// has a generation that does not know the old one. On an error nothing changes.
// Generations begin at 1 and grow. When one is not to be used after all, retain
// the former keys again with the next.
func (l *Ledger) Retain(generation uint64, keys []string) (map[string]int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cells := make(map[string]int, len(keys))
	var fresh []string
	for _, key := range keys {
		if _, twice := cells[key]; twice {
			continue
		}
		at, known := l.index[key]
		if cells[key] = at; !known {
			fresh = append(fresh, key)
		}
	}
	free := l.free(cells, len(fresh))
	if len(free) < len(fresh) {
		return nil, fmt.Errorf("find cells for %d new services and backends: %w", len(fresh), ErrFull)
	}
	for i, key := range fresh {
		l.assign(free[i], key)
		cells[key] = free[i]
	}
	for i := range l.cells {
		e := &l.cells[i]
		_, wanted := cells[e.key]
		switch {
		case wanted:
			e.retired = 0
		case e.key != "" && e.retired == 0:
			e.retired = generation
		}
	}
	return cells, nil
}

// free finds up to n cells that nobody has and nobody uses, and of whose keys
// none is wanted.
func (l *Ledger) free(wanted map[string]int, n int) (free []int) {
	oldest := l.oldest()
	for i, e := range l.cells {
		if len(free) == n {
			break
		}
		if _, back := wanted[e.key]; e.key == "" || !back && e.retired != 0 && e.retired <= oldest {
			free = append(free, i)
		}
	}
	return free
}

// oldest is the oldest configuration that a living process may use.
func (l *Ledger) oldest() uint64 {
	oldest := ^uint64(0)
	for i := range l.board.children {
		if g := l.board.children[i].generation.Load(); g != 0 {
			oldest = min(oldest, g)
		}
	}
	return oldest
}

func (l *Ledger) assign(cell int, key string) {
	delete(l.index, l.cells[cell].key)
	l.index[key] = cell
	l.cells[cell] = entry{key: key}
	l.board.shared[cell].clear()
	for c := range l.board.children {
		if l.board.used(c, cell) { // while the account still says so
			l.board.detail(c, cell).clear()
		}
	}
	for a := range l.accounts(cell) {
		a.clear()
	}
}

// Admit says that a process of that generation is about to start in the slot.
func (l *Ledger) Admit(child int, generation uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.board.children[child].touched.Store(1)
	l.board.Adopt(child, generation)
}

// Reclaim settles the accounts of a process that is dead, which the master knows
// by having waited for it: what it had in flight is taken off the shared words,
// and its slots are vacant. Its counters stay, and what it has served does in Served.
// Once more does nothing.
func (l *Ledger) Reclaim(child int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	row := l.board.Row(child)
	for i := range l.cells {
		if l.cells[i].key == "" {
			continue
		}
		a, s := row.account(i), &l.board.shared[i]
		s.InFlight.Add(-a.inFlight.drop())
		s.Queued.Add(-a.queued.drop())
	}
	for t := range l.board.sizes.Threads {
		s := l.board.Slot(child, t)
		l.past = l.past.Add(s.served())
		s.clear()
	}
	l.board.children[child].resting.Store(0)
	l.board.Adopt(child, 0)
}
