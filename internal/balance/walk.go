package balance

import (
	"slices"
	"sync/atomic"

	"lbctl/internal/lb"
)

// walked is a table of turns walked by a counter: rr and wrr. lc and wlc begin
// their scans with it.
//
// A turn whose backend is not open is dropped, and the next one is taken: the
// sequence is then the table's without that backend, so all others keep their
// proportions. Of k periods of the table each open backend gets exactly k times
// its slots, however many processes share the counter.
type walked struct {
	places []place
	slots  []uint32   // one period: indices of places
	where  [][]uint32 // the slots of each place, ascending
	turn   *atomic.Uint64
}

// mostDrops limits how often slow start may drop a turn for one request, for the
// case that nobody else is there.
const mostDrops = 64

func newWalked(table []lb.BackendID, places []place, turn *atomic.Uint64) *walked {
	w := &walked{places: places, slots: indices(table, places), where: make([][]uint32, len(places)), turn: turn}
	for slot, i := range w.slots {
		w.where[i] = append(w.where[i], uint32(slot))
	}
	return w
}

// indices replaces backends by their places.
func indices(table []lb.BackendID, places []place) []uint32 {
	index := map[lb.BackendID]uint32{}
	for i := range places {
		index[places[i].id] = uint32(i)
	}
	out := make([]uint32, len(table))
	for slot, id := range table {
		out[slot] = index[id]
	}
	return out
}

func (w *walked) choose(a *ask) *place {
	for {
		i := w.next(a)
		if i < 0 {
			return nil
		}
		if p := &w.places[i]; p.take(p.limit) {
			return p
		}
	}
}

// next takes the next turn of an open place, -1 if there is none.
func (w *walked) next(a *ask) int {
	i, turn := w.step(a)
	for range mostDrops {
		if i < 0 || a.passes(&w.places[i], turn) {
			break
		}
		i, turn = w.step(a)
	}
	return i
}

// step takes the next turn of an open place regardless of slow start. It takes
// no turn if there is none, so that who asks twice skips nobody.
func (w *walked) step(a *ask) (index int, turn uint64) {
	for {
		now := w.turn.Load()
		i, turn := int(w.slots[now%uint64(len(w.slots))]), now
		if !a.open(&w.places[i]) {
			i, turn = w.skip(a, now)
		}
		if i < 0 || w.turn.CompareAndSwap(now, turn+1) {
			return i, turn
		}
	}
}

// skip finds the first turn from now of any open place in steps of the number of
// places (times the logarithm of their slots), not of slots.
func (w *walked) skip(a *ask, now uint64) (index int, turn uint64) {
	period := uint64(len(w.slots))
	phase := uint32(now % period)
	index, ahead := -1, period
	for i := range w.places {
		if !a.open(&w.places[i]) {
			continue
		}
		slots := w.where[i]
		at, _ := slices.BinarySearch(slots, phase)
		d := uint64(slots[at%len(slots)]) + period - uint64(phase)
		if d %= period; d < ahead {
			index, ahead = i, d
		}
	}
	return index, now + ahead
}
