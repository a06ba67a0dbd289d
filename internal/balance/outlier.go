package balance

import "lbctl/internal/lb"

// Passive health: when do answers eject a backend? Envoy: "Outlier detection"
// (consecutive 5xx, failure percentage, base ejection time × times ejected,
// max_ejection_percent); Finagle: FailureAccrualFactory; nginx: max_fails. What
// counts as a failure is the caller's matter.
//
// These are the pure steps. Ejector takes them over shared words.

// outcomes is what is known of a backend's last answers.
type outcomes struct {
	row      uint16 // failures in a row
	window   uint16 // the number of the window, modulo 2^16
	requests uint16 // in the window; both are halved before they overflow
	failures uint16 // of these
}

func unpackOutcomes(w uint64) outcomes {
	return outcomes{uint16(w >> 48), uint16(w >> 32), uint16(w >> 16), uint16(w)}
}

func (o outcomes) pack() uint64 {
	return uint64(o.row)<<48 | uint64(o.window)<<32 | uint64(o.requests)<<16 | uint64(o.failures)
}

// stepOutcome adds one answer. If that ejects, the window begins anew, and half
// of the failures in a row that eject are forgiven: whoever comes back is ejected
// again after the other half.
func stepOutcome(rule lb.Outlier, o outcomes, failed bool, now int64) (next outcomes, eject bool) {
	if window := windowOf(rule, now); o.window != window {
		o = outcomes{row: o.row, window: window}
	}
	if o.requests == 1<<16-1 {
		o.requests, o.failures = o.requests/2, o.failures/2
	}
	o.requests++
	if !failed {
		o.row = 0
		return o, false
	}
	o.failures++
	o.row += min(1, 1<<16-1-o.row)
	inRow := rule.Failures > 0 && uint32(o.row) >= rule.Failures
	often := rule.Rate > 0 && uint32(o.requests) >= rule.Requests &&
		100*uint64(o.failures) >= uint64(rule.Rate)*uint64(o.requests)
	if inRow || often {
		return outcomes{row: uint16(min(rule.Failures/2, 1<<15)), window: o.window}, true
	}
	return o, false
}

func windowOf(rule lb.Outlier, now int64) uint16 {
	return uint16(now / max(int64(rule.Window), 1))
}

// EjectedUntil is a time in steps of quantum, rounded up; the bits below count
// how often the backend was ejected.
const (
	quantumBits = 25 // 34 ms
	quantum     = 1 << quantumBits
	mostTimes   = 1<<6 - 1
)

// stepEjection returns until when a backend is out that is ejected now. The k-th
// time it is out k times as long as the first time, but for each spell it has
// behaved that was as long as its last ejection, half of k is forgiven.
func stepEjection(rule lb.Outlier, until, now int64) int64 {
	times := until & mostTimes
	if times > 0 {
		times >>= min(max(now-until, 0)/max(length(rule, times), 1), 6)
	}
	times = min(times+1, mostTimes)
	return (now+length(rule, times)+quantum-1)&^(quantum-1) | times
}

func length(rule lb.Outlier, times int64) int64 {
	return min(int64(rule.Base)*times, int64(rule.Max))
}

// packEjection puts an ejection into one word: 24 bits of a backend's ID, 34 of
// EjectedUntil's time (18 years), and 6 of its count.
func packEjection(id lb.BackendID, until int64) uint64 {
	return uint64(id)<<40 | uint64(until>>quantumBits)<<6 | uint64(until&mostTimes)
}

func unpackEjection(word uint64) (id lb.BackendID, until int64) {
	return lb.BackendID(word >> 40), int64(word<<24>>30<<quantumBits | word&mostTimes)
}

// mayEject reports whether one more of the eligible backends may go, if so many
// are ejected.
func mayEject(rule lb.Outlier, eligible, ejected int) bool {
	most := min(eligible*int(min(rule.MaxShare, 100))/100, eligible-1)
	return ejected < most
}
