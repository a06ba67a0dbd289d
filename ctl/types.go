package ctl

import (
	"context"
	"fmt"
	"time"

	"lbctl/internal/lb"
)

// DataPlane is what forwards. Apply is called from one goroutine only; Stats
// may be called from any goroutine at any time, also while Apply runs.
type DataPlane interface {
	// Apply makes the plane's own services of s the ones it forwards. When it
	// fails, what was applied before must go on forwarding; it is called again.
	Apply(ctx context.Context, s lb.Snapshot) error
	Stats() (lb.Stats, error)
	// Close lets go of handles. Forwarding goes on.
	Close() error
}

// MaxWeight is the largest weight of a backend: what the kernel's IPVS takes.
const MaxWeight = 1<<31 - 1

// BackendPatch says what to change of a backend. A nil field stays as it is.
type BackendPatch struct {
	Admin  *lb.Admin `json:"admin,omitempty"`
	Weight *uint32   `json:"weight,omitempty"` // 0..MaxWeight; lasts until the scenario's own weight changes
}

// Op is what happens to a part of the configuration.
type Op string

// The operations.
const (
	Create Op = "create"
	Modify Op = "change"
	Delete Op = "delete"
)

// Change is one difference between two configurations, for people to read.
type Change struct {
	Op      Op     `json:"op"`
	Kind    string `json:"kind"` // service, backend, check or timeouts
	Service string `json:"service,omitempty"`
	Name    string `json:"name"`   // of the service, backend or check
	Detail  string `json:"detail"` // "weight 1 -> 3"
}

// String returns "change backend web-l4/s1: weight 1 -> 3".
func (c Change) String() string {
	name := c.Name
	if c.Kind == "backend" {
		name = c.Service + "/" + c.Name
	}
	s := fmt.Sprintf("%s %s %s", c.Op, c.Kind, name)
	if c.Detail == "" {
		return s
	}
	return s + ": " + c.Detail
}

// Configured answers a new configuration. Without changes the revision is the old one.
type Configured struct {
	Revision uint64   `json:"revision"`
	Changes  []Change `json:"changes"`
}

// Revised answers a change of one backend.
type Revised struct {
	Revision uint64 `json:"revision"`
}

// Version says who answers.
type Version struct {
	Version   string    `json:"version"`
	API       string    `json:"api"` // "v1"
	Go        string    `json:"go"`
	Lab       string    `json:"lab"`
	File      string    `json:"file,omitempty"` // of a standalone balancer; then Lab is its name
	PID       int       `json:"pid"`
	StartedAt time.Time `json:"started_at"`
}

// WaitRequest is what to wait for: every plane has applied the newest
// revision, and that is at least Revision.
type WaitRequest struct {
	Revision uint64        `json:"revision"`          // 0: whatever is newest
	Healthy  bool          `json:"healthy"`           // also: every check has judged; nothing is unknown
	Timeout  time.Duration `json:"timeout,omitempty"` // 0: waitTimeout
}

// PlaneStats are the counters of one plane, or why they cannot be had.
type PlaneStats struct {
	Plane lb.Plane `json:"plane"`
	Error string   `json:"error,omitempty"`
	lb.Stats
}

// Stats are the counters of the planes that are open.
type Stats struct {
	At     time.Time    `json:"at"`
	Planes []PlaneStats `json:"planes"` // of two balancers the totals are added up, levels are the active one's

	Balancers []BalancerStatus `json:"balancers,omitempty"` // where there are two, the active one first
}

// Plane returns the counters of one plane; ok is false if it is not open.
func (s Stats) Plane(name lb.Plane) (stats PlaneStats, ok bool) {
	for _, p := range s.Planes {
		if p.Plane == name {
			return p, true
		}
	}
	return PlaneStats{}, false
}

// Service returns the counters of one service in whichever plane has it.
func (s Stats) Service(name string) (stats lb.ServiceStats, ok bool) {
	for _, p := range s.Planes {
		for _, svc := range p.Services {
			if svc.Name == name {
				return svc, true
			}
		}
	}
	return lb.ServiceStats{}, false
}
