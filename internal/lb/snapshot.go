package lb

import (
	"cmp"
	"time"
)

// Config is the desired state as its owner wrote it: what a scenario resolves
// to. Backend IDs, health and admin states in it are zero; the Controller owns them.
type Config struct {
	Services []Service `json:"services"`
	Checks   []Check   `json:"checks"`
	Timeouts Timeouts  `json:"timeouts,omitzero"` // L4: zero ones are IPVS's
}

// Timeouts say after how long without a packet an L4 flow is over.
type Timeouts struct {
	TCP time.Duration `json:"tcp,omitempty"` // of a connection: IPVS begins with 900 s
	FIN time.Duration `json:"fin,omitempty"` // of one that waits for the other end's FIN: 120 s
	UDP time.Duration `json:"udp,omitempty"` // of datagrams between two ends: 300 s
}

// Or fills in zero ones.
func (t Timeouts) Or(other Timeouts) Timeouts {
	return Timeouts{TCP: cmp.Or(t.TCP, other.TCP), FIN: cmp.Or(t.FIN, other.FIN), UDP: cmp.Or(t.UDP, other.UDP)}
}

// Snapshot is the whole desired state at one revision. It is immutable: whoever
// holds one may read it from any goroutine and must not change it.
type Snapshot struct {
	Revision uint64    `json:"revision"` // 1, 2, 3 …; 0 is before anything
	Services []Service `json:"services"`
	Timeouts Timeouts  `json:"timeouts,omitzero"` // L4: zero ones stay as they are in the plane
}

// HTTP is what an L7 service needs beyond its backends. Zero means the plane's
// default (l7.Defaults, the same as the scenario's), a negative number none.
type HTTP struct {
	ClientHeadTimeout  time.Duration `json:"client_head_timeout"`  // whole request head received
	ClientIdleTimeout  time.Duration `json:"client_idle_timeout"`  // keep-alive between two requests
	ConnectTimeout     time.Duration `json:"connect_timeout"`      // connection to a backend made
	BackendHeadTimeout time.Duration `json:"backend_head_timeout"` // response head received
	Retries            int           `json:"retries"`              // further backends tried when a connection cannot be made, or ends before the answer to a repeatable request
	BackendIdleTimeout time.Duration `json:"backend_idle_timeout"` // more of a response body received
	TunnelTimeout      time.Duration `json:"tunnel_timeout"`       // either side of an upgraded connection has said something
	IdleConns          int           `json:"idle_conns"`           // kept open to each backend
	IdleConnTimeout    time.Duration `json:"idle_conn_timeout"`    // kept without a request
	IdleConnMaxAge     time.Duration `json:"idle_conn_max_age"`    // since it was made, a connection is kept for a further request

	ClientBodyTimeout time.Duration `json:"client_body_timeout"`       // more of a request's body received, or of an answer taken
	RequestTimeout    time.Duration `json:"request_timeout,omitempty"` // from a request's head to the end of its answer; 0: no limit
	MaxBody           int64         `json:"max_body,omitempty"`        // bytes of a request's body, beyond which it is refused; 0: no limit
	BufferRequest     int           `json:"buffer_request,omitempty"`  // bytes of a request that are received before a backend is chosen; 0: it streams
	ResponseBuffer    int           `json:"response_buffer"`           // bytes of an answer that may wait for the client before the backend must
	Limits            Limits        `json:"limits,omitzero"`
	Queue             Queue         `json:"queue,omitzero"`
	Forwarding        Forwarding    `json:"forwarding,omitzero"`
	Sticky            Sticky        `json:"sticky,omitzero"`

	SlowStart   time.Duration `json:"slow_start,omitempty"`  // a backend that comes up grows to its weight over this time; 0: at once
	Hash        HashKey       `json:"hash,omitzero"`         // of policy hash
	Outlier     Outlier       `json:"outlier,omitzero"`      // zero: off
	RetryBudget RetryBudget   `json:"retry_budget,omitzero"` // zero: unlimited
	AccessLog   AccessLog     `json:"access_log,omitzero"`   // zero: off
}
