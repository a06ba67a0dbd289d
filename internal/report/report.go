// Package report turns a Measurement into what a person can rely on: medians,
// costs, intervals, a verdict only where the noise allows one, and a plain word
// on what else was the limit. It also keeps measurements on disk.
package report

import (
	"time"

	"lbctl/internal/lb"
	"lbctl/internal/traffic"
)

// Report is an analysed Measurement.
type Report struct {
	Schema     int                `json:"schema"` // of the Measurement
	Name       string             `json:"name"`
	Started    time.Time          `json:"started"`
	Took       time.Duration      `json:"took"`
	Rounds     int                `json:"rounds"`
	Incomplete string             `json:"incomplete,omitempty"`
	Conditions traffic.Conditions `json:"conditions"`
	Workloads  []Workload         `json:"workloads"`
}

// Workload is what every arm did under one workload.
type Workload struct {
	traffic.Workload
	Arms     []Arm    `json:"arms"`     // the direct one first
	Ratios   []Ratio  `json:"ratios"`   // of each pair of services; of the only service to direct
	Verdicts []string `json:"verdicts"` // a sentence per ratio, in its order
	Limits   []string `json:"limits"`   // what, besides the balancer, bounded these figures
}

// Arm is one way to the servers, over all its runs.
type Arm struct {
	Name    string     `json:"name"`
	Direct  bool       `json:"direct,omitempty"`
	Plane   lb.Plane   `json:"plane,omitempty"`
	Policy  lb.Policy  `json:"policy,omitempty"`
	Forward lb.Forward `json:"forward,omitempty"`
	Runs    int        `json:"runs"`             // that gave a result
	Failed  []string   `json:"failed,omitempty"` // why the others did not

	Requests uint64            `json:"requests"` // in all runs, answered whenever
	Answered uint64            `json:"answered"` // those answered within the windows: what figures per request divide by
	Rate     Spread            `json:"rate"`     // requests/s answered
	Latency  Latency           `json:"latency"`  // all runs merged
	Errors   map[string]uint64 `json:"errors,omitempty"`
	Schedule traffic.Schedule  `json:"schedule,omitzero"` // open loop: summed over runs
	Shares   []Share           `json:"shares"`

	Bytes Bytes    `json:"bytes,omitzero"`
	CPU   Cost     `json:"cpu"`
	Added Interval `json:"added"`        // CPU µs per request over direct, paired by half round; N 0: not known
	XDP   XDP      `json:"xdp,omitzero"` // zero in the direct arm, whose packets pass no balancer
}

// Spread is the middle and the ends of a figure over runs.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Latency holds quantiles of the merged histograms.
type Latency struct {
	P50  time.Duration `json:"p50"`
	P90  time.Duration `json:"p90"`
	P99  time.Duration `json:"p99"`
	P999 time.Duration `json:"p99_9"`
	Max  time.Duration `json:"max"`
}

// Share is what one server answered, against what its weight promises.
type Share struct {
	Server   string  `json:"server"`
	Requests uint64  `json:"requests"`
	Got      float64 `json:"got"`                // fraction of all answers
	Expected float64 `json:"expected,omitempty"` // by weight; 0 where the policy promises none
}

// Bytes is what passed the balancer, by its plane's counters.
type Bytes struct {
	In       uint64  `json:"in"`     // from clients
	Out      uint64  `json:"out"`    // to clients
	Bypass   bool    `json:"bypass"` // replies do not pass the balancer
	InPerOp  float64 `json:"in_per_request"`
	OutPerOp float64 `json:"out_per_request"`
}

// Cost is CPU in µs per request.
type Cost struct {
	Machine    Spread             `json:"machine"`    // whatever any core did
	Components map[string]float64 `json:"components"` // medians: "generator", and the groups of processes
	Busy       float64            `json:"busy"`       // median fraction of all cores
	Steal      float64            `json:"steal"`      // highest fraction taken by the hypervisor
}

// XDP is the L4 program's run time by the kernel's account.
type XDP struct {
	NsPerPacket float64 `json:"ns_per_packet"`
	Packets     uint64  `json:"packets"`
	PerRequest  float64 `json:"packets_per_request"`
}

// Interval is a mean over N pairs and its 95 % interval, which with N below 2 is
// none: Low and High are the mean then.
type Interval struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	N    int     `json:"n"`
}
