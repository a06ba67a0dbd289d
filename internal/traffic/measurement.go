package traffic

import (
	"net/netip"
	"time"

	"lbctl/internal/lb"
)

// Schema is the version of a Measurement's JSON. It grows when a reader of an
// older one would be wrong about a newer one.
const Schema = 2

// Plan is what Compare does: every arm under every workload, in rounds.
type Plan struct {
	Name       string     `json:"name"`      // of the scenario
	Arms       []Arm      `json:"arms"`      // A, B …; exactly one of them direct
	Workloads  []Workload `json:"workloads"` // each measured in every round
	Rounds     int        `json:"rounds"`
	Conditions Conditions `json:"-"` // what only the caller knows; Compare adds what the machine says
}

// Arm is one way from the client to the servers.
type Arm struct {
	Name    string           `json:"name"` // the service's, or "direct"
	Direct  bool             `json:"direct,omitempty"`
	Targets []netip.AddrPort `json:"targets"`          // the VIP; of the direct arm, the servers
	Host    string           `json:"host,omitempty"`   // of the Host header
	Service lb.Service       `json:"service,omitzero"` // with backends and weights; empty in the direct arm
}

// Workload is the load that every arm gets. Its fields are those of a
// scenario's Workload, so that one converts into the other; it is a type of its
// own because measurements are kept on disk longer than scenarios stay the same.
type Workload struct {
	Name        string        `json:"name"`
	Connections int           `json:"connections"`
	Rate        float64       `json:"rate,omitempty"` // requests/s; 0: closed loop
	KeepAlive   bool          `json:"keep_alive"`
	Path        string        `json:"path"`
	Duration    time.Duration `json:"duration"`
	Warmup      time.Duration `json:"warmup"`
	Timeout     time.Duration `json:"timeout"`
}

// Measurement is all that Compare saw, raw.
type Measurement struct {
	Schema     int        `json:"schema"`
	Plan       Plan       `json:"plan"`
	Conditions Conditions `json:"conditions"`
	Started    time.Time  `json:"started"`
	Finished   time.Time  `json:"finished"`
	Incomplete string     `json:"incomplete,omitempty"` // why runs are missing; empty: none is
	Runs       []Run      `json:"runs"`                 // in the order they were made
}

// Run is one arm under one workload, once.
type Run struct {
	Arm      string    `json:"arm"`
	Workload string    `json:"workload"`
	Round    int       `json:"round"` // from 1
	Half     int       `json:"half"`  // 1 or 2: runs of one half are neighbours in time and make a pair
	Start    time.Time `json:"start"`
	Error    string    `json:"error,omitempty"` // why there is no result
	Result   Result    `json:"result,omitzero"`
	CPU      CPU       `json:"cpu,omitzero"`
	Plane    Counted   `json:"plane,omitzero"`
	Warnings []string  `json:"warnings,omitempty"` // what makes parts of this run doubtful
}

// CPU is what the machine spent between a run's Measuring and Measured events.
type CPU struct {
	Elapsed time.Duration            `json:"elapsed"` // between the two samples
	Busy    time.Duration            `json:"busy"`    // of all cores together, whatever they did
	Machine MachineTime              `json:"machine"` // what Busy is reckoned from
	Groups  map[string]time.Duration `json:"groups"`  // of processes by component ("servers", "l7", "daemon"), in ns
}

// Counted is what the planes counted during a run.
type Counted struct {
	Service  lb.ServiceStats `json:"service,omitzero"` // the arm's own; Active is the level at the end
	Run      lb.RunTime      `json:"run,omitzero"`     // of the XDP program, whatever packets it met
	Verdicts []lb.Verdict    `json:"verdicts,omitempty"`
}
