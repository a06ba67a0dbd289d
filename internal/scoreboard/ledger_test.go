package scoreboard

import (
	"errors"
	"testing"
)

func retain(t *testing.T, l *Ledger, generation uint64, keys ...string) map[string]int {
	t.Helper()
	cells, err := l.Retain(generation, keys)
	if err != nil {
		t.Fatal(err)
	}
	return cells
}

func TestAKeyKeepsItsCellAndItsCounts(t *testing.T) {
	b := newBoard(t, Sizes{2, 1, 4})
	l := NewLedger(b)
	first := retain(t, l, 1, "web", "web/a", "web/b", "web")
	l.Admit(0, 1)
	b.Row(0).Cell(first["web/a"]).AddRequest()
	second := retain(t, l, 2, "web/a", "web", "web/c")
	if first["web"] != second["web"] || first["web/a"] != second["web/a"] {
		t.Errorf("cells moved: %v, then %v", first, second)
	}
	if got := l.Totals(second["web/a"]).Requests; got != 1 {
		t.Errorf("requests = %d, want 1", got)
	}
	third := retain(t, l, 3, "web", "web/b")
	if third["web/b"] != first["web/b"] {
		t.Errorf("a retired cell that nobody got did not come back: %v, then %v", first, third)
	}
}

func TestACellIsNotReusedWhileAnOlderGenerationLives(t *testing.T) {
	b := newBoard(t, Sizes{3, 1, 1})
	l := NewLedger(b)
	old := retain(t, l, 1, "old")["old"]
	l.Admit(0, 1)
	l.Admit(1, 1)
	c := b.Row(0).Cell(old)
	c.Begin()
	c.AddRequest()
	c.Shared().Outcomes.Store(1)
	retain(t, l, 2)
	refused := func(why string) {
		t.Helper()
		if _, err := l.Retain(3, []string{"new"}); !errors.Is(err, ErrFull) {
			t.Fatalf("%s: %v, want ErrFull", why, err)
		}
	}
	refused("two children of generation 1 live")
	l.Reclaim(1)
	refused("a child of generation 1 lives")
	b.Adopt(0, 2)
	c.End()
	cell := retain(t, l, 3, "new")["new"]
	if got := l.Totals(cell); got != (Totals{}) {
		t.Errorf("the new key begins with %+v", got)
	}
	if got := b.Shared(cell).Outcomes.Load(); got != 0 {
		t.Errorf("the new key begins with %d failures", got)
	}
}

func TestARefusedConfigurationChangesNothing(t *testing.T) {
	l := NewLedger(newBoard(t, Sizes{1, 1, 2}))
	before := retain(t, l, 1, "a", "b")
	l.Admit(0, 1)
	if _, err := l.Retain(2, []string{"c", "d"}); !errors.Is(err, ErrFull) {
		t.Fatalf("retain = %v, want ErrFull", err)
	}
	l.board.Adopt(0, 5)
	if _, err := l.Retain(6, []string{"c", "d"}); !errors.Is(err, ErrFull) {
		t.Fatalf("retain = %v, want ErrFull: a and b were never retired", err)
	}
	after := retain(t, l, 7, "a", "b")
	if before["a"] != after["a"] || before["b"] != after["b"] {
		t.Errorf("cells = %v, want %v", after, before)
	}
}

func TestReclaimTakesOffExactlyOnce(t *testing.T) {
	b := newBoard(t, Sizes{2, 2, 3})
	l := NewLedger(b)
	cells := retain(t, l, 1, "a", "b")
	l.Admit(0, 1)
	l.Admit(1, 1)
	for range 5 {
		b.Row(0).Cell(cells["a"]).Begin()
	}
	b.Row(0).Cell(cells["b"]).Enqueue()
	b.Row(1).Cell(cells["a"]).Begin()
	b.Row(0).Cell(cells["a"]).AddRequest()
	b.Slot(0, 1).Enter(1)
	b.Slot(0, 1).AddRequest(10, 200)
	b.Slot(1, 0).AddRequest(1, 2)
	for range 2 {
		l.Reclaim(0)
		if got, want := l.Served(), (Served{Requests: 2, BytesIn: 11, BytesOut: 202}); got != want {
			t.Errorf("served = %+v, want %+v, the dead worker's included", got, want)
		}
		want := Totals{Requests: 1, InFlight: 1}
		if got := l.Totals(cells["a"]); got != want {
			t.Errorf("totals of a = %+v, want %+v", got, want)
		}
		if got := l.Totals(cells["b"]).Queued; got != 0 {
			t.Errorf("queued for b = %d, want 0", got)
		}
	}
	if got := b.Workers()[1].State; got != Vacant {
		t.Errorf("the dead worker's state = %c, want %c", got, Vacant)
	}
}

func TestSettleRepairsWhatDiedHalfWay(t *testing.T) {
	b := newBoard(t, Sizes{2, 1, 1})
	l := NewLedger(b)
	cell := retain(t, l, 1, "a")["a"]
	l.Admit(0, 1)
	l.Admit(1, 1)
	c := b.Row(1).Cell(cell)
	c.Begin()
	c.Begin()
	b.shared[cell].InFlight.Add(1) // child 0 dies between the two adds
	l.Reclaim(0)
	for i := range settleAfter {
		if got := b.Shared(cell).InFlight.Load(); got != 3 {
			t.Fatalf("in flight = %d after %d readings, want 3 until they agree", got, i)
		}
		l.Settle()
	}
	if got := b.Shared(cell).InFlight.Load(); got != 2 {
		t.Errorf("in flight = %d, want 2", got)
	}
	b.shared[cell].InFlight.Add(-1)
	if l.Settle(); b.Shared(cell).InFlight.Load() != 2 {
		t.Errorf("in flight = %d, want a word that is too low put right at once", b.Shared(cell).InFlight.Load())
	}
}

func TestDriftIsTheLeastOfReadingsThatAgree(t *testing.T) {
	for _, c := range []struct {
		name          string
		excess, taken []int64
	}{
		{"nothing", []int64{0, 0, 0}, []int64{0, 0, 0}},
		{"a thread in between", []int64{1, 0, 1, 1, 1, 1, 0}, []int64{0, 0, 0, 0, 0, 0, 0}},
		{"one died", []int64{1, 1, 1, 1, 1, 0}, []int64{0, 0, 0, 0, 1, 0}},
		{"two died and some in between", []int64{2, 5, 2, 3, 9, 0}, []int64{0, 0, 0, 0, 2, 0}},
		{"too low", []int64{-2, 0, 1}, []int64{-2, 0, 0}},
	} {
		var d drift
		for i, excess := range c.excess {
			if got := d.step(excess); got != c.taken[i] {
				t.Errorf("%s: reading %d takes off %d, want %d", c.name, i, got, c.taken[i])
			}
		}
	}
}
