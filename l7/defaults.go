package l7

import (
	"cmp"
	"time"

	"lbctl/internal/http1"
	"lbctl/internal/lb"
)

// Defaults are what the zero values in an lb.HTTP mean: those of the scenario
// language. Negative Retries mean none, negative IdleConns that no connection to
// a backend is kept, a negative Queue.Length that nobody waits. The zero values of
// limits and timeouts that are off by default mean just that.
var Defaults = lb.HTTP{
	ClientHeadTimeout:  10 * time.Second,
	ClientIdleTimeout:  60 * time.Second,
	ConnectTimeout:     1 * time.Second,
	BackendHeadTimeout: 30 * time.Second,
	BackendIdleTimeout: 60 * time.Second,
	TunnelTimeout:      1 * time.Hour,
	Retries:            2,
	IdleConns:          1024,
	IdleConnTimeout:    30 * time.Second,
	IdleConnMaxAge:     1 * time.Hour, // as nginx's keepalive_time
	ClientBodyTimeout:  60 * time.Second,
	ResponseBuffer:     64 << 10,
	Limits:             lb.Limits(http1.DefaultLimits),
	Queue:              lb.Queue{Length: 1024},
}

// Limits that no service can change.
const (
	maxRetries   = 10               // whatever a service asks for
	stopDeadline = 10 * time.Second // for what is in flight when the proxy is to stop, or its master is gone
	stopGrace    = 2 * time.Second  // for a worker to end by itself when its time is over: it cuts off what is left, and writes its logs
	flushTimeout = 1 * time.Second  // for files to take the last lines of logs
)

// withDefaults returns h with every zero value replaced.
func withDefaults(h lb.HTTP) lb.HTTP {
	h.ClientHeadTimeout = cmp.Or(h.ClientHeadTimeout, Defaults.ClientHeadTimeout)
	h.ClientIdleTimeout = cmp.Or(h.ClientIdleTimeout, Defaults.ClientIdleTimeout)
	h.ConnectTimeout = cmp.Or(h.ConnectTimeout, Defaults.ConnectTimeout)
	h.BackendHeadTimeout = cmp.Or(h.BackendHeadTimeout, Defaults.BackendHeadTimeout)
	h.BackendIdleTimeout = cmp.Or(h.BackendIdleTimeout, Defaults.BackendIdleTimeout)
	h.TunnelTimeout = cmp.Or(h.TunnelTimeout, Defaults.TunnelTimeout)
	h.Retries = min(cmp.Or(h.Retries, Defaults.Retries), maxRetries)
	h.IdleConns = cmp.Or(h.IdleConns, Defaults.IdleConns)
	h.IdleConnTimeout = cmp.Or(h.IdleConnTimeout, Defaults.IdleConnTimeout)
	h.IdleConnMaxAge = cmp.Or(h.IdleConnMaxAge, Defaults.IdleConnMaxAge)
	h.ClientBodyTimeout = cmp.Or(h.ClientBodyTimeout, Defaults.ClientBodyTimeout)
	h.ResponseBuffer = cmp.Or(h.ResponseBuffer, Defaults.ResponseBuffer)
	h.Queue.Length = cmp.Or(h.Queue.Length, Defaults.Queue.Length)
	return h
}
