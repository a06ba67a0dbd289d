package balance

import "time"

// Slow start. Envoy: "Slow start mode" of its load balancers, which begins with
// 10 % of the weight, too (min_weight_percent); nginx and HAProxy begin at 0.
//
// rr, wrr and random take a backend whose turn it is only with the probability of
// its ramp, and otherwise go on to the next: the others keep their proportions,
// no table is made anew, and no weight is rounded. lc, wlc, p2c and ewma do so
// where they begin, and divide by the weight times the ramp. The hash policies
// and first ignore slow start, as nginx's hash and ip_hash and HAProxy's map-based
// hashes do: keys that come back little by little would miss their caches twice.

// fullRamp is the whole weight.
const fullRamp = 1 << 10

// Ramp returns how much of its weight a backend has, in 1024ths: it grows
// linearly from 10 % at since to all of it after duration. since 0 is long ago.
func Ramp(now, since int64, duration time.Duration) uint64 {
	const begin = fullRamp / 10
	passed := max(now-since, 0)
	if since == 0 || passed >= int64(duration) {
		return fullRamp
	}
	return begin + uint64(float64(fullRamp-begin)*float64(passed)/float64(duration))
}
