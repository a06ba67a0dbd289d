package ctl

import (
	"time"

	"lbctl/internal/lb"
)

// EventKind is what an Event tells.
type EventKind string

// The kinds of events.
const (
	EventStarted        EventKind = "started"         // the daemon began; sequence numbers start again
	EventRevision       EventKind = "revision"        // a new configuration
	EventTransition     EventKind = "transition"      // one per damped change of health, however many backends share it
	EventEjected        EventKind = "ejected"         // a plane sends a backend nothing new for a while, for how it answered requests
	EventAdmin          EventKind = "admin"           // a person enabled, drained or disabled a backend
	EventWeight         EventKind = "weight"          // a person weighed a backend
	EventTimeouts       EventKind = "timeouts"        // a person changed the timeouts of flows
	EventPlane          EventKind = "plane"           // a plane was opened
	EventApplyFailed    EventKind = "apply_failed"    // the first failure of a streak
	EventApplyRecovered EventKind = "apply_recovered" // the end of a streak, with its length
	EventReloadRefused  EventKind = "reload_refused"  // a standalone balancer's file was read anew and is no good
	EventPersistFailed  EventKind = "persist_failed"  // the state file could not be written
	EventGap            EventKind = "gap"             // made for one reader: it was too slow, or asked for what is forgotten
)

// Event is something that happened, in the order in which it did.
type Event struct {
	Seq        uint64         `json:"seq"`
	At         time.Time      `json:"at"`
	Kind       EventKind      `json:"kind"`
	Message    string         `json:"message"` // one line for people
	Revision   uint64         `json:"revision,omitempty"`
	Plane      lb.Plane       `json:"plane,omitempty"`
	Node       string         `json:"node,omitempty"` // a balancer, where there are two
	Service    string         `json:"service,omitempty"`
	Backend    string         `json:"backend,omitempty"`
	Transition *lb.Transition `json:"transition,omitempty"`
	Touched    []string       `json:"touched,omitempty"`  // service/backend names that a transition touches
	Changes    []Change       `json:"changes,omitempty"`  // of a revision
	Failures   int            `json:"failures,omitempty"` // in the streak so far
	Error      string         `json:"error,omitempty"`
	Missed     uint64         `json:"missed,omitempty"` // gap: how many events are lost to this reader; 0: not known
}
