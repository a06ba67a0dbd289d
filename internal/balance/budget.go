package balance

import (
	"math"
	"sync/atomic"

	"lbctl/internal/lb"
)

// A Budget limits the retries of a service, so that they cannot multiply the load
// of backends that fail for being overloaded. Finagle: service/RetryBudget.scala in
// finagle-core; Envoy: retry_budget.
//
// It is a token bucket in one word, which processes may share. Each request brings
// its share of a retry and each second some more; what is not spent fades with a
// time constant of ten seconds (Finagle's ttl), so a quiet night does not pay for
// a storm in the morning. At the beginning it holds ten seconds of PerSecond.
type Budget struct {
	rule lb.RetryBudget
	word *atomic.Uint64 // thousandths of retries, and below them the time in ms, modulo 2^32
}

const fadeTime = 10_000 // ms

// NewBudget returns the budget that a word holds, at first 0.
func NewBudget(rule lb.RetryBudget, word *atomic.Uint64) Budget { return Budget{rule, word} }

// Request counts a request, retries not included.
func (b Budget) Request(now int64) {
	b.spend(now, -10*int64(b.rule.Percent))
}

// Retry reports whether one retry may be made, and counts it. Without a rule it
// may.
func (b Budget) Retry(now int64) bool {
	return b.rule == lb.RetryBudget{} || b.spend(now, 1000)
}

func (b Budget) spend(now int64, cost int64) bool {
	for {
		old := b.word.Load()
		next, ok := stepBudget(b.rule, old, now, cost)
		if next == old || b.word.CompareAndSwap(old, next) {
			return ok
		}
	}
}

// stepBudget brings a word up to the time now and takes cost thousandths, if it
// has them.
func stepBudget(rule lb.RetryBudget, word uint64, now, cost int64) (next uint64, ok bool) {
	tick := uint32(now / 1e6)
	passed := int64(tick - uint32(word))
	if passed > 1<<32-1<<16 { // a minute ahead: another process's clock was read later
		passed, tick = 0, uint32(word)
	}
	passed = min(passed, fadeTime)
	has := int64(word >> 32)
	has += int64(rule.PerSecond)*passed - has*passed/fadeTime
	if ok = has >= cost; ok {
		has -= cost
	}
	return uint64(min(has, math.MaxUint32))<<32 | uint64(tick), ok
}
