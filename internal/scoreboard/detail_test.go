package scoreboard

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

func TestBucketsCoverAllTimesWithoutAGap(t *testing.T) {
	for i := range buckets {
		from, below := lower(i), lower(i+1)
		if from >= below || bucketOf(from) != i || bucketOf(below-1) != i {
			t.Errorf("bucket %d is from %v to %v, but its ends are in %d and %d", i, from, below, bucketOf(from), bucketOf(below-1))
		}
	}
	if bucketOf(-5) != 0 || bucketOf(50*time.Microsecond) == 0 || bucketOf(60*time.Second) == buckets-1 {
		t.Error("50 µs or 60 s is at the end, or a negative time is not")
	}
}

func TestAQuantileIsWithinFivePercent(t *testing.T) {
	for range 300 {
		d := time.Duration(rand.Int64N(int64(60*time.Second)-50_000) + 50_000)
		if rand.IntN(2) == 0 {
			d = d / 1000 * 2
			d = max(d, 50*time.Microsecond)
		}
		var h Histogram
		var sums times
		h.add(d)
		h.addTo(&sums)
		if q := sums.latency().Quantile(0.5); q < d*95/100 || q > d*105/100 {
			t.Errorf("%v is told as %v", d, q)
		}
	}
	l := lb.Latency{Count: 100, Buckets: []lb.LatencyBucket{{From: 10, Below: 12, Count: 98}, {From: 20, Below: 22, Count: 1}, {From: 100, Below: lb.Longest, Count: 1}}}
	for q, want := range map[float64]time.Duration{0: 11, 0.5: 11, 0.98: 11, 0.99: 21, 1: 100} {
		if got := l.Quantile(q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if (lb.Latency{}).Quantile(0.9) != 0 {
		t.Error("nothing has a quantile")
	}
}

func TestLatenciesAddUpAndDiffer(t *testing.T) {
	a := lb.Latency{Count: 3, Sum: 30, Buckets: []lb.LatencyBucket{{From: 1, Below: 2, Count: 1}, {From: 4, Below: 5, Count: 2}}}
	b := lb.Latency{Count: 2, Sum: 9, Buckets: []lb.LatencyBucket{{From: 3, Below: 4, Count: 1}, {From: 4, Below: 5, Count: 1}}}
	sum := a.Add(b)
	if sum.Count != 5 || sum.Sum != 39 || len(sum.Buckets) != 3 || sum.Buckets[2].Count != 3 {
		t.Errorf("%+v", sum)
	}
	if back := sum.Since(b); back.Count != a.Count || back.Sum != a.Sum || !slices.Equal(back.Buckets, a.Buckets) {
		t.Errorf("%+v", back)
	}
	if a.Since(sum).Count != a.Count {
		t.Error("a plane that began anew has counted less than nothing")
	}
}

func TestDetailsOfAllProcessesAddUpAndEndWithTheKey(t *testing.T) {
	b := newBoard(t, Sizes{2, 1, 2})
	l := NewLedger(b)
	retain(t, l, 1, "a")
	for child := range 2 {
		l.Admit(child, 1)
		c := b.Row(child).Cell(0)
		c.AddRequest()
		c.AddResult(100)
		c.AddResult(Results) // nothing
		c.AddEvents(Ejected, 2)
		c.AddHead(time.Millisecond)
		c.AddWhole(time.Second)
	}
	l.Reclaim(0)
	d := l.Details(0)
	if len(d.Results) != 1 || d.Results[100] != 2 || d.Events[Ejected] != 4 || d.Head.Count != 2 || d.Whole.Sum != 2*time.Second {
		t.Errorf("%+v", d)
	}
	l.Reclaim(1)
	retain(t, l, 2, "b")
	retain(t, l, 3, "b", "c") // the second takes the cell of "a"
	for cell := range 2 {
		if d := l.Details(cell); d.Head.Count != 0 || len(d.Results) != 0 || d.Events != [NumEvents]uint64{} {
			t.Errorf("cell %d begins with %+v", cell, d)
		}
	}
	Scratch().AddWhole(1)
	b.Row(0).Cell(0).Plain().AddHead(1)
}

func TestDetailsTakeMemoryOnlyWhereTheyAreUsed(t *testing.T) {
	b := newBoard(t, Sizes{64, 1, 4096})
	l := NewLedger(b)
	for child := range 64 {
		l.Admit(child, 1)
	}
	c := b.Row(3).Cell(5)
	c.AddRequest()
	c.AddWhole(time.Second)
	for cell := range 4096 {
		l.Details(cell)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(b.File().Fd()), &st); err != nil {
		t.Fatal(err)
	}
	// The accounts of all children are read: 64 rows of 64 pages.
	if taken := st.Blocks * 512; taken > (64*64+40)*page {
		t.Errorf("%d KiB for one cell of one process", taken>>10)
	}
}

func BenchmarkDetail(b *testing.B) {
	c := newBoard(b, Sizes{2, 1, 2}).Row(0).Cell(1)
	for b.Loop() {
		c.AddResult(100)
		c.AddHead(200 * time.Microsecond)
		c.AddWhole(220 * time.Microsecond)
	}
}
