package ctl

import (
	"math/rand/v2"
	"time"
)

// The waits between attempts of a plane that fails.
const (
	backoffMin = 100 * time.Millisecond
	backoffMax = 10 * time.Second
)

// backoff is the wait after the nth failure in a row, n from 1: it doubles from
// backoffMin to backoffMax, and up to a quarter is taken off or added at random.
func backoff(n int) time.Duration {
	wait := backoffMax
	if shift := n - 1; shift < 7 { // 100ms << 7 is past the maximum
		wait = min(backoffMin<<shift, backoffMax)
	}
	wait += rand.N(wait/2) - wait/4
	return min(max(wait, backoffMin), backoffMax)
}
