package traffic

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Load is one run of the generator: whom to ask, how, and for how long.
//
// With Rate 0 the loop is closed: each connection sends its next request when
// the last one is answered. With a Rate it is open: requests are due on a fixed
// schedule, evenly spaced, whether or not the earlier ones were answered, and
// latency counts from the moment a request was due.
type Load struct {
	Targets     []netip.AddrPort `json:"targets"`          // several: connections are spread evenly over them
	Host        string           `json:"host,omitempty"`   // of the Host header; empty: the target
	Path        string           `json:"path"`             // with query; empty: /
	Connections int              `json:"connections"`      // at most so many at once
	Rate        float64          `json:"rate,omitempty"`   // requests/s; 0: closed loop
	KeepAlive   bool             `json:"keep_alive"`       // false: a new connection for each request
	Warmup      time.Duration    `json:"warmup,omitempty"` // before the measured window
	Duration    time.Duration    `json:"duration"`         // of the measured window; 0: until Requests are sent
	Timeout     time.Duration    `json:"timeout"`          // of making a connection, and of one request; 0: 5s

	Requests  uint64 `json:"requests,omitempty"`   // send no more than so many in the window; 0: no such bound
	MaxErrors uint64 `json:"max_errors,omitempty"` // stop after so many errors in the window; 0: no such bound
	Loops     int    `json:"loops,omitempty"`      // event loops, each of which can keep one core busy; 0: 1
	AnyTarget bool   `json:"any_target,omitempty"` // allow targets outside loopback and the benchmarking ranges
}

// ErrForbiddenTarget says that a Load aims at a machine that may be somebody's.
var ErrForbiddenTarget = errors.New("target is neither loopback nor a benchmarking address (198.18.0.0/15, 2001:2::/48)")

// The networks that RFC 2544 and RFC 5180 set aside for measurements; labs use no other.
var benchmarking = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("2001:2::/48")}

const (
	defaultTimeout = 5 * time.Second
	maxTimeout     = time.Minute // the histogram ends there; internal/scenario knows it too
	maxConnections = 65536
	maxLoops       = 256
)

// normal returns the load with its defaults filled in, or why it cannot run.
func (l Load) normal() (Load, error) {
	if l.Path == "" {
		l.Path = "/"
	}
	if l.Timeout == 0 {
		l.Timeout = defaultTimeout
	}
	if l.Loops == 0 {
		l.Loops = 1
	}
	switch {
	case len(l.Targets) == 0:
		return l, errors.New("generate load: no target")
	case l.Connections < 1 || l.Connections > maxConnections:
		return l, fmt.Errorf("generate load: %d connections: want 1 to %d", l.Connections, maxConnections)
	case l.Loops < 1 || l.Loops > maxLoops:
		return l, fmt.Errorf("generate load: %d loops: want 1 to %d", l.Loops, maxLoops)
	case l.Duration < 0 || l.Warmup < 0 || l.Timeout < 0 || l.Timeout > maxTimeout:
		return l, fmt.Errorf("generate load: duration, warm-up and timeout must not be negative, timeout at most %v", maxTimeout)
	case l.Duration == 0 && l.Requests == 0:
		return l, errors.New("generate load: neither a duration nor a number of requests")
	case !(l.Rate >= 0 && l.Rate <= 1e7):
		return l, fmt.Errorf("generate load: rate %v: want 0 to 1e7 requests/s", l.Rate)
	case !validTarget(l.Path):
		return l, fmt.Errorf("generate load: path %q: want /… in visible ASCII", l.Path)
	case strings.ContainsFunc(l.Host, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return l, fmt.Errorf("generate load: host %q: want visible ASCII", l.Host)
	}
	for _, t := range l.Targets {
		if !t.IsValid() || t.Port() == 0 {
			return l, fmt.Errorf("generate load: target %v: want address and port", t)
		}
		if !l.AnyTarget && !allowed(t.Addr()) {
			return l, fmt.Errorf("generate load to %v: %w", t, ErrForbiddenTarget)
		}
	}
	return l, nil
}

// measured reports whether a request of an open loop, due at t on the run's
// clock, is past the warm-up.
func (l Load) measured(t time.Duration) bool { return t >= l.Warmup }

// over reports whether it comes after the window. Without a duration only the
// number of requests ends that.
func (l Load) over(t time.Duration) bool { return l.Duration > 0 && t >= l.Warmup+l.Duration }

func validTarget(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

func allowed(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range benchmarking {
		if p.Contains(a) {
			return true
		}
	}
	return a.IsLoopback()
}
