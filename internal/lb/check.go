package lb

import (
	"net/netip"
	"time"
)

// CheckKind is the kind of a probe.
type CheckKind string

// The kinds of probes.
const (
	CheckTCP  CheckKind = "tcp"  // a connection can be made
	CheckHTTP CheckKind = "http" // a request is answered as expected
)

// Check is one probe definition. Its name is unique in a Config.
type Check struct {
	Name         string        `json:"name"`
	Kind         CheckKind     `json:"kind"`
	Port         uint16        `json:"port,omitempty"` // 0: the backend's own
	HTTP         HTTPProbe     `json:"http,omitzero"`
	Interval     time.Duration `json:"interval"`      // between probes while health is settled
	FastInterval time.Duration `json:"fast_interval"` // between probes while a transition is in doubt
	Timeout      time.Duration `json:"timeout"`       // of one probe
	Rise         int           `json:"rise"`          // successes in a row until up
	Fall         int           `json:"fall"`          // failures in a row until down
}

// HTTPProbe is what an HTTP check sends and what it expects back.
type HTTPProbe struct {
	Method    string            `json:"method"` // GET or HEAD
	Path      string            `json:"path"`
	Host      string            `json:"host,omitempty"`   // empty: the address
	StatusMin int               `json:"status_min"`       // inclusive
	StatusMax int               `json:"status_max"`       // inclusive
	Header    map[string]string `json:"header,omitempty"` // response header name -> RE2 pattern its value must match
	Body      string            `json:"body,omitempty"`   // RE2 pattern that the first 64 KiB of the body must match
}

// Target is the key of health: an address judged by a check.
type Target struct {
	Addr  netip.AddrPort `json:"addr"` // the backend's address, also where the check probes another port
	Check string         `json:"check"`
}

// Ejection says that a plane takes nothing new to a backend for a while, for how it
// answered requests: see Outlier.
type Ejection struct {
	Service string    `json:"service"`
	Backend BackendID `json:"backend"`
	Until   time.Time `json:"until"`
}

// Transition is one damped change of health.
type Transition struct {
	Target
	From   Health    `json:"from"`
	To     Health    `json:"to"`
	Reason string    `json:"reason"` // the last probe's result: "connect 198.18.4.1:80: connection refused"
	At     time.Time `json:"at"`
}
