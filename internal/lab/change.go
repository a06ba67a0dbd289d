package lab

import "context"

// Op is what happens to a thing.
type Op string

// The operations.
const (
	OpCreate Op = "create"
	OpChange Op = "change"
	OpDelete Op = "delete"
)

// Kind is what a Change is about.
type Kind string

// The kinds of things that a lab is made of.
const (
	KindNamespace Kind = "namespace"
	KindNetwork   Kind = "network"
	KindLink      Kind = "link"
	KindAddress   Kind = "address"
	KindRoute     Kind = "route"
	KindSysctl    Kind = "sysctl"
	KindServer    Kind = "server"
)

// Change is one difference between what is and what is wanted.
type Change struct {
	Op     Op     `json:"op"`
	Kind   Kind   `json:"kind"`
	Node   string `json:"node,omitempty"` // empty for a network
	Detail string `json:"detail"`
}

// String returns "create address s1 198.18.4.1/20 on eth0".
func (c Change) String() string {
	text := string(c.Op) + " " + string(c.Kind)
	if c.Node != "" {
		text += " " + c.Node
	}
	if c.Detail != "" {
		text += " " + c.Detail
	}
	return text
}

// phase orders the steps. Within a phase nodes are worked on side by side,
// the steps of one node in their order.
type phase int

const (
	remove     phase = iota // what is too much
	namespaces              // in one batch, for the registry's sake
	networks                // the bridges that links need
	wires                   // links, addresses, routes, sysctls
	processes               // servers
	phases
)

func (p phase) String() string {
	return [...]string{"remove", "namespaces", "networks", "wires", "processes"}[p]
}

// step is a Change and the deed. A step whose Change is empty belongs to an
// earlier one and is not shown.
type step struct {
	Change
	phase phase
	node  string // whose steps it stays in order with; the hub for networks
	do    func(context.Context, *builder) error
}

// changesOf lists what the steps show.
func changesOf(steps []step) []Change {
	changes := []Change{}
	for _, s := range steps {
		if s.Op != "" {
			changes = append(changes, s.Change)
		}
	}
	return changes
}
