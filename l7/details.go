package l7

import (
	"lbctl/internal/lb"
	"lbctl/internal/scoreboard"
)

// details are how long the requests of an account took, and how they ended.
func (m *master) details(c *configuration, key string) *lb.HTTPStats {
	cell := c.Cells[key]
	d := m.ledger.Details(cell)
	h := &lb.HTTPStats{
		FirstByte: d.Head, Whole: d.Whole, Status: make(map[int]uint64, len(d.Results)),
		ClientGone: d.Events[scoreboard.ClientLeft], Broken: d.Events[scoreboard.BackendBroke], TimedOut: d.Events[scoreboard.TimedOut],
		Ejections: d.Events[scoreboard.Ejected], Unlogged: d.Events[scoreboard.Unlogged], Removed: d.Events[scoreboard.Removed],
		Queued: uint64(max(m.board.Shared(cell).Queued.Load(), 0)),
	}
	for result, n := range d.Results {
		h.Status[result+100] = n
	}
	return h
}

// states counts the workers by what they do.
func (m *master) states() map[string]int {
	states := map[string]int{}
	for _, w := range m.board.Workers() {
		if w.State != scoreboard.Vacant {
			states[w.State.String()]++
		}
	}
	return states
}
