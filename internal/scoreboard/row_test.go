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

func TestLimitIsExactAcrossProcesses(t *testing.T) {
	b := newBoard(t, Sizes{8, 1, 1})
	var all sync.WaitGroup
	var inside, most, taken atomic.Int64
	for child := range 8 {
		all.Go(func() {
			c := b.Row(child).Cell(0)
			for range 2000 {
				if !c.TryBegin(3) {
					continue
				}
				taken.Add(1)
				n := inside.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				inside.Add(-1)
				c.End()
			}
		})
	}
	all.Wait()
	if most.Load() > 3 || taken.Load() == 0 || b.Shared(0).InFlight() != 0 {
		t.Errorf("at most %d at once, %d in all, %d left; want at most 3, some, none", most.Load(), taken.Load(), b.Shared(0).InFlight())
	}
}

func TestEachTurnIsTakenOnce(t *testing.T) {
	b := newBoard(t, Sizes{1, 1, 1})
	var all sync.WaitGroup
	var seen [4000]atomic.Int64
	for range 4 {
		all.Go(func() {
			for range 1000 {
				seen[b.Shared(0).Turn()].Add(1)
			}
		})
	}
	all.Wait()
	for turn := range seen {
		if n := seen[turn].Load(); n != 1 {
			t.Fatalf("turn %d was taken %d times", turn, n)
		}
	}
}

func TestSharedWords(t *testing.T) {
	s := newBoard(t, Sizes{1, 1, 1}).Shared(0)
	s.Observe(100, 0.5)
	s.Observe(200, 0.5)
	if got := s.Latency(); got != 150 {
		t.Errorf("latency = %v, want 150", got)
	}
	if s.Fail(); s.Fail() != 2 || s.Failures() != 2 {
		t.Errorf("failures = %d, want 2", s.Failures())
	}
	if s.Succeed(); s.Failures() != 0 {
		t.Errorf("failures after a success = %d, want 0", s.Failures())
	}
	if !s.Eject(10, 20) || s.Eject(19, 30) || s.EjectedUntil() != 20 || !s.Eject(20, 40) {
		t.Error("an ejection is not told exactly once until it has passed")
	}
	if s.Readmit(); s.EjectedUntil() != 0 {
		t.Error("a readmitted cell is still ejected")
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
