package traffic

import "time"

// Result is what one run of the generator saw in its measured window. A request
// belongs to the window if the moment it was sent (closed loop) or due (open
// loop) lies in it; those still unanswered at the end are waited for, so a stall
// at the end of a window shows. Answered alone is counted by the moment of the
// answer: a service that cannot keep up with an open loop answers much of what
// was due in the window after it, which must not pass for throughput.
type Result struct {
	Requests    uint64            `json:"requests"`    // of the window, answered in full with a status below 400, whenever that was
	Answered    uint64            `json:"answered"`    // such answers that came within the window, whenever their requests were due
	Elapsed     time.Duration     `json:"elapsed"`     // length of the window
	Latency     Histogram         `json:"latency"`     // of those requests
	Errors      map[string]uint64 `json:"errors"`      // by kind, see the Err constants; "status_503" for an answer of 400 and above
	Servers     map[string]uint64 `json:"servers"`     // answers of any status by their X-Server, "" without one
	Connections uint64            `json:"connections"` // made in the window
	BytesIn     uint64            `json:"bytes_in"`    // HTTP heads and bodies received
	BytesOut    uint64            `json:"bytes_out"`   // and sent
	CPU         time.Duration     `json:"cpu"`         // of the generator's process during the window (getrusage)
	Procs       int               `json:"procs"`       // cores it could use: one for each of its loops
	Schedule    Schedule          `json:"schedule,omitzero"`
	Stopped     string            `json:"stopped,omitempty"` // why the run ended early; empty: it did not
}

// Schedule is the account of an open loop: did each request leave when it was due?
type Schedule struct {
	Due     uint64        `json:"due"`              // requests due in the window: sent + dropped
	Late    uint64        `json:"late"`             // handed over more than 1 ms after they were due: the generator fell behind
	MaxLate time.Duration `json:"max_late"`         // by so much at most
	Queued  uint64        `json:"queued,omitempty"` // then waited over 1 ms for a connection: every one was busy
	Dropped uint64        `json:"dropped"`          // never sent, as the queue was full or its wait longer than the timeout; also an error
}

// The kinds of errors.
const (
	ErrConnectRefused     = "connect_refused"
	ErrConnectTimeout     = "connect_timeout"
	ErrConnectUnreachable = "connect_unreachable"
	ErrConnectPorts       = "connect_ports" // no local port was free
	ErrConnect            = "connect_other"
	ErrReset              = "reset"    // by the peer, in the middle of an exchange
	ErrClosed             = "closed"   // by the peer, before the whole answer came
	ErrTimeout            = "timeout"  // no whole answer in time
	ErrProtocol           = "protocol" // the answer is no valid HTTP/1
	ErrDropped            = "dropped"  // see Schedule
	ErrOther              = "other"
)

// Failed returns the number of errors of all kinds.
func (r *Result) Failed() uint64 {
	var n uint64
	for _, v := range r.Errors {
		n += v
	}
	return n
}

// Rate returns the requests answered per second of the window.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Answered) / r.Elapsed.Seconds()
}

// Event is what a generator says while it runs.
type Event string

// The events of a run, in order: what happens between them is the measured window.
const (
	Measuring Event = "measuring" // warm-up is over
	Measured  Event = "measured"  // the window is over; late answers are still being waited for
)
