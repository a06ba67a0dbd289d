package supervise

import (
	"testing"
	"time"
)

func TestBrakeSlowsDownACrashLoop(t *testing.T) {
	now := time.Unix(1000, 0)
	var b brake
	for i, want := range []int{0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30} {
		b.died(100*time.Millisecond, now)
		if got := b.wait(now); got != time.Duration(want)*time.Second {
			t.Errorf("after %d short lives wait = %s, want %d s", i+1, got, want)
		}
		now = now.Add(b.wait(now) + 100*time.Millisecond)
	}
}

func TestChildrenThatDieTogetherCountAsOneWait(t *testing.T) {
	now := time.Unix(1000, 0)
	var b brake
	for range 20 {
		b.died(100*time.Millisecond, now)
	}
	if got := b.wait(now); got != time.Second {
		t.Errorf("wait = %s, want 1 s", got)
	}
}

func TestBrakeLetsGo(t *testing.T) {
	start := time.Unix(1000, 0)
	looping := func() (b brake) {
		for range freeDeaths {
			b.died(0, start)
		}
		return b
	}
	for _, c := range []struct {
		name         string
		lived, after time.Duration
		want         int // row
	}{
		{"a good life resets it", 10 * time.Second, 5 * time.Second, 0},
		{"a fair life changes nothing", 9 * time.Second, 5 * time.Second, freeDeaths},
		{"a short life in the wait changes nothing", 0, 500 * time.Millisecond, freeDeaths},
		{"a short life after it counts", 0, 2 * time.Second, freeDeaths + 1},
		{"a short life after ten quiet seconds is the first", 0, 12 * time.Second, 1},
	} {
		b := looping()
		b.died(c.lived, start.Add(c.after))
		if b.row != c.want {
			t.Errorf("%s: row = %d, want %d", c.name, b.row, c.want)
		}
	}
}
