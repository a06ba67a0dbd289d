package balance

import (
	"math"
	"testing"
	"time"

	"lbctl/internal/lb"
)

func wantLatency(t *testing.T, name string, m Member, now int64, want time.Duration) {
	t.Helper()
	if got := decayed(m.Latency.Load(), now); math.Abs(got-float64(want)) > 0.001*float64(want) {
		t.Errorf("%s: latency %v, want %v", name, time.Duration(got), want)
	}
}

func TestLatencyPeaksAtOnceAndDecaysWithTime(t *testing.T) {
	m := new(Words).Member()
	now := 1000 * second
	m.Observe(100*time.Millisecond, now)
	wantLatency(t, "first", m, now, 100*time.Millisecond)
	m.Observe(time.Second, now)
	wantLatency(t, "peak", m, now, time.Second)
	m.Observe(time.Millisecond, now)
	wantLatency(t, "less in the same millisecond", m, now, time.Second)
	now += 10 * second
	wantLatency(t, "after one time constant", m, now, 367879*time.Microsecond)
	wantLatency(t, "on a clock that is behind", m, now-11*second, time.Second)
	m.Observe(100*time.Millisecond, now) // 1 s / e + 0.1 s (1 - 1/e)
	wantLatency(t, "average", m, now, 431091*time.Microsecond)
	for range 100_000 {
		now += second / 1000
		m.Observe(200*time.Millisecond, now)
	}
	wantLatency(t, "100 s at 200 ms", m, now, 200*time.Millisecond)
}

func TestLatencyForgetsALongTimeAgo(t *testing.T) {
	m := new(Words).Member()
	m.Observe(time.Second, 1000*second)
	for _, days := range []int64{1, 25, 40, 50} {
		if got := decayed(m.Latency.Load(), 1000*second+days*86400*second); got != 0 {
			t.Errorf("after %d days: %v", days, time.Duration(got))
		}
	}
}

func TestTheSlowBackendGetsLess(t *testing.T) {
	var w words
	p := mustNew(t, service(lb.PeakEWMA, members(1, 1, 2)), &w)
	now := client(0).Now
	w.members[1].Member().Observe(10*time.Millisecond, now)
	w.members[2].Member().Observe(20*time.Millisecond, now)
	w.members[3].Member().Observe(40*time.Millisecond, now)
	for i := range 1100 { // nothing ever finishes: costs become equal
		p.Pick(client(i), nil)
	}
	// In flight as 1/10 to 1/20 to 2/40.
	for i, want := range []float64{550, 275, 275} {
		if n := w.members[i+1].inFlight.Load(); math.Abs(float64(n)-want) > 0.05*want+2 {
			t.Errorf("backend %d has %d in flight, want %.0f", i+1, n, want)
		}
	}
}

func TestAnUnknownBackendIsTriedByOneRequest(t *testing.T) {
	var w words
	p := mustNew(t, service(lb.PeakEWMA, equals(2)), &w)
	w.members[1].Member().Observe(10*time.Millisecond, client(0).Now)
	for i := range 1000 {
		p.Pick(client(i), nil)
	}
	if n := w.members[2].inFlight.Load(); n != 1 {
		t.Errorf("%d requests try the unknown one, want 1", n)
	}
}

func TestObservationsOfSeveralAtOnceKeepThePeak(t *testing.T) {
	m := new(Words).Member()
	together(4, func(worker int) {
		for i := range 1000 {
			m.Observe(time.Duration(i%100*4+worker+1)*time.Millisecond, second)
		}
	})
	wantLatency(t, "peak of all", m, second, 400*time.Millisecond)
}
