package scoreboard

import "testing"

func TestThreadsAtRestAreSeenByAllAndEndWithTheirProcess(t *testing.T) {
	b := newBoard(t, Sizes{3, 2, 1})
	l := NewLedger(b)
	if n := b.Resting(); n != 0 {
		t.Errorf("%d threads rest on a new board", n)
	}
	l.Admit(2, 1)
	b.Rest(2, 1)
	b.Rest(2, 1)
	b.Rest(2, -1)
	if n := b.Resting(); n != 1 {
		t.Errorf("%d threads rest, want one of two", n)
	}
	b.Come(1)
	b.Come(2)
	l.Reclaim(2)
	if n := b.Came(); n != 2 {
		t.Errorf("%d threads came, want 2, for who is dead has come", n)
	}
	if n := b.Resting(); n != 0 {
		t.Errorf("%d threads of a dead process rest", n)
	}
}
