package balance

import (
	"sync/atomic"
	"testing"

	"lbctl/internal/lb"
)

// retries makes so many requests a second over some seconds, all of which would
// be retried, and returns how many were.
func retries(b Budget, from int64, seconds, perSecond int) (granted int) {
	for i := range seconds * perSecond {
		now := from*second + int64(i)*second/int64(perSecond)
		b.Request(now)
		if b.Retry(now) {
			granted++
		}
	}
	return granted
}

func TestBudgetGrantsAShareOfRequestsAndSomePerSecond(t *testing.T) {
	for _, c := range []struct {
		rule      lb.RetryBudget
		perSecond int
		want      int // in 100 s, the ten seconds' worth at the beginning included
	}{
		{lb.RetryBudget{Percent: 20}, 1000, 20000},
		{lb.RetryBudget{Percent: 20, PerSecond: 10}, 1000, 21100},
		{lb.RetryBudget{PerSecond: 10}, 1000, 1100},
		{lb.RetryBudget{Percent: 20, PerSecond: 1}, 1, 100}, // each
		{lb.RetryBudget{}, 10, 1000},                        // no rule
	} {
		got := retries(NewBudget(c.rule, new(atomic.Uint64)), 1000, 100, c.perSecond)
		if got > c.want || got < c.want-c.want/50-2 {
			t.Errorf("%+v at %d requests/s: %d retries, want %d", c.rule, c.perSecond, got, c.want)
		}
	}
}

func TestBudgetFadesInTenSeconds(t *testing.T) {
	b := NewBudget(lb.RetryBudget{Percent: 20}, new(atomic.Uint64))
	for i := range 3600 * 100 { // a quiet hour at 100 requests/s
		b.Request(int64(i) * second / 100)
	}
	granted := 0
	for b.Retry(3600 * second) {
		granted++
	}
	if granted < 180 || granted > 200 {
		t.Errorf("%d retries saved up, want 20 %% of ten seconds' requests", granted)
	}
}

func TestBudgetOfSeveralIsSpentOnce(t *testing.T) {
	var word, granted atomic.Uint64
	together(4, func(int) {
		b := NewBudget(lb.RetryBudget{Percent: 20}, &word)
		for range 1000 {
			b.Request(second)
		}
	})
	together(4, func(int) {
		b := NewBudget(lb.RetryBudget{Percent: 20}, &word)
		for range 1000 {
			if b.Retry(second) {
				granted.Add(1)
			}
		}
	})
	if n := granted.Load(); n != 800 {
		t.Errorf("%d retries of 4000 requests, want 800", n)
	}
}

func TestBudgetBearsAClockThatIsBehindAndOneThatWraps(t *testing.T) {
	rule := lb.RetryBudget{PerSecond: 1}
	word, _ := stepBudget(rule, 0, 1000*second, 1000) // 9 left
	if back, ok := stepBudget(rule, word, 999*second, 0); back != word || !ok {
		t.Errorf("a clock that is behind makes %#x of %#x", back, word)
	}
	wrap := int64(1) << 32 * 1e6
	if _, ok := stepBudget(rule, 0, wrap-wrap/4, 10_000); !ok {
		t.Error("a budget that begins after 37 days has nothing")
	}
	word = 1<<32 - 1000 // spent one second before the wrap
	if _, ok := stepBudget(rule, word, wrap+second, 2000); !ok {
		t.Error("two seconds over the wrap bring no two retries")
	}
	if _, ok := stepBudget(rule, word, wrap+second, 2001); ok {
		t.Error("two seconds over the wrap bring more than two retries")
	}
}

func TestBudgetAllocatesNothing(t *testing.T) {
	b := NewBudget(usualRetryBudget, new(atomic.Uint64))
	if n := testing.AllocsPerRun(100, func() { b.Request(second); b.Retry(second) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// usualRetryBudget is Finagle's.
var usualRetryBudget = lb.RetryBudget{Percent: 20, PerSecond: 10}
