package scoreboard

import "testing"

func TestThreadsAtRestAreSeenByAllAndEndWithTheirProcess(t *testing.T) {
	b := newBoard(t, Sizes{3, 2, 1})
	l := NewLedger(b)
	if b.Resting() {
		t.Error("somebody rests on a new board")
	}
	l.Admit(2, 1)
	b.Rest(2, 1)
	b.Rest(2, 1)
	b.Rest(2, -1)
	if !b.Resting() {
		t.Error("nobody rests, but one of two does")
	}
	b.Come(1)
	b.Come(2)
	l.Reclaim(2)
	if n := b.Came(); n != 2 {
		t.Errorf("%d threads came, want 2, for who is dead has come", n)
	}
	if b.Resting() {
		t.Error("a thread of a dead process rests")
	}
}
