package loop

import (
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestDeadlinesAreNeverEarlyAndClearedOnesNeverCome(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		addr := serve(t, l, echo())
		const n = 200
		type result struct {
			early, late time.Duration
		}
		results := make(chan result, n)
		on(l, func() {
			for i := range n {
				d := time.Duration(1+i) * time.Millisecond
				due := l.Now() + int64(d)
				c := l.Connect(addr, &calls{expired: func(c *Conn) {
					by := time.Duration(l.Now() - due)
					results <- result{-by, by}
					if i%2 == 1 {
						t.Error("a cleared deadline came")
					}
					c.Close()
				}})
				switch i % 4 {
				case 0: // put off, and moved nearer
					c.Deadline(time.Hour)
				case 2:
					c.Deadline(time.Millisecond)
				}
				c.Deadline(d)
				if i%2 == 1 {
					c.Deadline(0)
				}
			}
		})
		for range n / 2 {
			if r := within(t, results, "Expired"); r.early > 0 || r.late > time.Second {
				t.Errorf("Expired %v early, %v late", r.early, r.late)
			}
		}
		time.Sleep(50 * time.Millisecond)
	})
}

func TestTimersFireOnceAndNotAfterStop(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		fired := make(chan time.Duration, 2)
		on(l, func() {
			begin := l.Now()
			l.After(40*time.Millisecond, func() { fired <- time.Duration(l.Now() - begin) })
			l.After(20*time.Millisecond, func() { t.Error("a stopped timer fired") }).Stop()
		})
		if d := within(t, fired, "the timer"); d < 40*time.Millisecond {
			t.Errorf("fired after %v", d)
		}
	})
}

func TestPaceIsExact(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		lates := make(chan []time.Duration, 1)
		on(l, func() {
			var seen []time.Duration
			due := l.Now() + 3_000_000
			l.Pace(func(now int64) int64 {
				for due <= now {
					seen = append(seen, time.Duration(now-due))
					due += 3_000_000
					if len(seen) == 50 {
						lates <- seen
						l.Pace(nil)
						return 0
					}
				}
				return due
			})
		})
		near := 0
		for _, late := range within(t, lates, "the schedule") {
			if late < time.Millisecond {
				near++
			}
		}
		if near < 25 {
			t.Errorf("%d of 50 steps were less than 1 ms late", near)
		}
	})
}

func TestAnIdleLoopSleeps(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		addr := serve(t, l, echo())
		c := dial(t, addr)
		roundTrip(t, c, []byte("hello"))
		time.Sleep(20 * time.Millisecond)
		var before, after uint64
		on(l, func() { before = l.Stats().Iterations })
		time.Sleep(100 * time.Millisecond)
		on(l, func() { after = l.Stats().Iterations })
		if after-before > 4 {
			t.Errorf("%d iterations with nothing to do", after-before)
		}
	})
}

// A model of the wheel: whatever is set, moved and cleared, no alarm fires before
// its last time, and each has fired when the tick of that time is over.
func TestTheWheelAgreesWithAModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var w wheel
	now := int64(1) << 40
	w.turned = now >> tickShift
	alarms := make([]alarm, 100)
	fired := map[*alarm]bool{}
	for i := range alarms {
		alarms[i].f = func() { fired[&alarms[i]] = true }
	}
	due := map[*alarm]int64{}
	for range 20_000 {
		a := &alarms[r.IntN(len(alarms))]
		switch r.IntN(4) {
		case 0, 1:
			due[a] = now + 1 + r.Int64N(1<<(20+r.IntN(16)))
			w.set(a, due[a])
		case 2:
			delete(due, a)
			if r.IntN(2) == 0 {
				a.due = 0
			} else {
				w.remove(a)
			}
		case 3:
			now += r.Int64N(1 << (10 + r.IntN(24)))
			w.turn(now)
			checkFired(t, alarms, due, fired, now)
			next := w.next()
			for _, d := range due {
				if next < 0 || next > (d>>tickShift+1)<<tickShift {
					t.Fatalf("the wheel would sleep until %d with an alarm due at %d", next, d)
				}
			}
		}
	}
}

func checkFired(t *testing.T, alarms []alarm, due map[*alarm]int64, fired map[*alarm]bool, now int64) {
	t.Helper()
	for i := range alarms {
		a := &alarms[i]
		d, set := due[a]
		may, must := set && d <= now, set && d>>tickShift < now>>tickShift
		if fired[a] && !may || !fired[a] && must {
			t.Fatalf("alarm due at %d (set %v): fired %v at %d", d, set, fired[a], now)
		}
		if fired[a] {
			delete(due, a)
		}
	}
	clear(fired)
}

func TestNowIsTheMonotonicClock(t *testing.T) {
	l, err := New(Options{Kind: Epoll})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	if by := l.Now() - ts.Nano(); by < 0 || by > int64(time.Second) {
		t.Errorf("Now is %v from CLOCK_MONOTONIC", time.Duration(by))
	}
}
