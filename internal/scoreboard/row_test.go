package scoreboard

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestThreadsOfSeveralChildrenShareOneNumber(t *testing.T) {
	b := newBoard(t, Sizes{4, 1, 2})
	var all sync.WaitGroup
	for child := range 4 {
		for range 4 {
			all.Go(func() {
				c := b.Row(child).Cell(1)
				for range 1000 {
					c.Begin()
					c.AddRequest()
					c.AddBytesIn(1)
					c.AddBytesOut(2)
					c.Enqueue()
					c.Dequeue()
					c.End()
				}
				c.Begin()
			})
		}
	}
	all.Wait()
	l := NewLedger(b)
	for child := range 4 {
		l.Admit(child, 1)
	}
	want := Totals{Requests: 16000, BytesIn: 16000, BytesOut: 32000, InFlight: 16}
	if got := l.Totals(1); got != want {
		t.Errorf("totals = %+v, want %+v", got, want)
	}
	if own, _ := b.accounts[1].inFlight.read(); own != 4 {
		t.Errorf("child 0 has %d in flight, want 4", own)
	}
}

func TestBeginAndEndAllocateNothing(t *testing.T) {
	b := newBoard(t, Sizes{1, 1, 1})
	r := b.Row(0)
	if n := testing.AllocsPerRun(100, func() { c := r.Cell(0); c.Begin(); c.End() }); n != 0 {
		t.Errorf("Begin and End allocate %v times", n)
	}
}

func BenchmarkBeginEnd(b *testing.B) {
	c := newBoard(b, Sizes{2, 1, 2}).Row(0).Cell(1)
	for b.Loop() {
		c.Begin()
		c.End()
	}
}

// Each goroutine is a child, all with the same cell.
func BenchmarkBeginEndContended(b *testing.B) {
	board := newBoard(b, Sizes{64, 1, 2})
	var next atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		c := board.Row(int(next.Add(1))).Cell(1)
		for pb.Next() {
			c.Begin()
			c.End()
		}
	})
}

func BenchmarkSetState(b *testing.B) {
	s := newBoard(b, Sizes{2, 1, 2}).Slot(0, 0)
	for b.Loop() {
		s.Set(Sending, Now())
	}
}
