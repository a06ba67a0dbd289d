package ctl

import (
	"net/netip"
	"time"

	"lbctl/internal/lb"
)

// Status is what the daemon wants, what the planes have, and what was found.
type Status struct {
	Lab       string          `json:"lab"`
	File      string          `json:"file,omitempty"` // of a standalone balancer; then Lab is its name
	Version   string          `json:"version"`
	PID       int             `json:"pid"`
	StartedAt time.Time       `json:"started_at"`
	Uptime    time.Duration   `json:"uptime"`
	Revision  uint64          `json:"revision"`
	Planes    []PlaneStatus   `json:"planes"`
	Services  []ServiceStatus `json:"services"`
	Timeouts  lb.Timeouts     `json:"timeouts"` // of L4's flows

	Balancers []BalancerStatus `json:"balancers,omitempty"` // where there are two, the active one first
}

// BalancerRole is what one of two balancers does.
type BalancerRole string

// The roles.
const (
	Active  BalancerRole = "active"  // has the floating addresses
	Standby BalancerRole = "standby" // would take over
)

// BalancerStatus is one of two balancers.
type BalancerStatus struct {
	Node      string       `json:"node"`
	Role      BalancerRole `json:"role"`
	Since     time.Time    `json:"since"` // both have their roles
	Connected bool         `json:"connected"`
	Flows     uint64       `json:"flows"` // that its l4 plane remembers

	Sync *lb.SyncStats `json:"sync,omitempty"` // what it has told the other one, and heard; nil: nothing is told
}

// PlaneState is how a plane stands to the newest revision.
type PlaneState string

// The states of a plane.
const (
	PlaneIdle     PlaneState = "idle"     // not opened: no service has ever asked for it
	PlaneApplied  PlaneState = "applied"  // has the newest revision
	PlaneApplying PlaneState = "applying" // is about to have it
	PlaneFailing  PlaneState = "failing"  // the last attempt failed; the next one is scheduled
)

// PlaneStatus is what a plane should forward, what it forwards, and its failures.
type PlaneStatus struct {
	Name        lb.Plane        `json:"name"`
	Node        string          `json:"node,omitempty"` // the balancer that it is on, where there are two
	State       PlaneState      `json:"state"`
	Desired     uint64          `json:"desired"`         // revision
	Applied     uint64          `json:"applied"`         // revision
	Since       time.Time       `json:"since"`           // State has been what it is
	PID         int             `json:"pid,omitempty"`   // of the process that forwards, if it is one
	Shape       *lb.Shape       `json:"shape,omitempty"` // L7: how it spends processes and threads
	Loop        string          `json:"loop,omitempty"`  // L7 of model loop: io_uring or epoll, and why
	Hooks       []lb.HookChoice `json:"hooks,omitempty"` // where the plane takes packets, by interface
	Retries     int             `json:"retries"`         // failures in a row; 0 unless failing
	Failures    uint64          `json:"failures"`
	LastError   string          `json:"last_error,omitempty"` // kept after recovery, with its time
	LastErrorAt time.Time       `json:"last_error_at,omitzero"`
	FlowTables  []lb.FlowTable  `json:"flow_tables,omitempty"` // L4; of two balancers the active one's only
	StatsError  string          `json:"stats_error,omitempty"` // why the counters of its services are not known and read 0
}

// ServiceStatus is one service as it is now.
type ServiceStatus struct {
	Name     string          `json:"name"`
	Plane    lb.Plane        `json:"plane"`
	VIP      lb.VIP          `json:"vip"`
	L4       lb.L4Options    `json:"l4,omitzero"`
	Forward  lb.Forward      `json:"forward,omitempty"`
	Policy   lb.Policy       `json:"policy"`
	Check    string          `json:"check,omitempty"`
	Counters lb.Counters     `json:"counters"`
	Backends []BackendStatus `json:"backends"`
}

// BackendStatus is one backend as it is now. Weight is the one in force.
type BackendStatus struct {
	lb.Backend
	ScenarioWeight uint32        `json:"scenario_weight"` // differs from weight while one set at runtime is in force
	Since          time.Time     `json:"since,omitzero"`  // health has been what it is
	Reason         string        `json:"reason,omitempty"`
	Probed         time.Time     `json:"probed,omitzero"` // start of the last probe
	ProbeTime      time.Duration `json:"probe_time"`
	Doubt          string        `json:"doubt,omitempty"`      // what else is held against it: "ejected by l7"
	DoubtUntil     time.Time     `json:"doubt_until,omitzero"` // then it is asked again
	Counters       lb.Counters   `json:"counters"`
}

// Address is what a person reads of what clients may address, as lb.Service has it.
func (s ServiceStatus) Address() string { return lb.Service{VIP: s.VIP, L4: s.L4}.Address() }

// Target is a destination that the service has, as lb.Service has it.
func (s ServiceStatus) Target() netip.AddrPort { return lb.Service{VIP: s.VIP, L4: s.L4}.Target() }

// Service returns the service of that name.
func (s Status) Service(name string) (service ServiceStatus, ok bool) {
	for _, svc := range s.Services {
		if svc.Name == name {
			return svc, true
		}
	}
	return ServiceStatus{}, false
}

// Backend returns the backend of that name.
func (s ServiceStatus) Backend(name string) (backend BackendStatus, ok bool) {
	for _, b := range s.Backends {
		if b.Name == name {
			return b, true
		}
	}
	return BackendStatus{}, false
}
