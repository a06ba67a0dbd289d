package healthcheck

import "lbctl/internal/lb"

// damper is the state of one target's damping. Its zero value is a target that
// was never probed.
type damper struct {
	health    lb.Health
	successes int // in a row
	failures  int // in a row
}

// step feeds one probe's result and reports whether health changed. It is pure.
//
// A target that is down comes up after rise successes in a row; one that is up
// or unknown goes down after fall failures in a row. An unknown target comes up
// after its first success, as in Envoy (HAProxy and IPVS go further and trust a
// new server before any probe): nothing was ever held against it, and a service
// without backends is a worse start than one probe too few.
func (d damper) step(ok bool, rise, fall int) (next damper, changed bool) {
	next = d
	if ok {
		next.successes, next.failures = d.successes+1, 0
		if d.health == lb.Unknown || d.health == lb.Down && next.successes >= rise {
			next.health = lb.Up
		}
	} else {
		next.successes, next.failures = 0, d.failures+1
		if d.health != lb.Down && next.failures >= fall {
			next.health = lb.Down
		}
	}
	return next, next.health != d.health
}

// inDoubt reports whether the last results speak against the health that still
// holds, so that the next probe should come soon.
func (d damper) inDoubt() bool {
	switch d.health {
	case lb.Up:
		return d.failures > 0
	case lb.Down:
		return d.successes > 0
	}
	return true // unknown
}
