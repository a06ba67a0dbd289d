// Package lb holds the words of a load balancer as types: services, backends,
// checks, snapshots and their statistics. Every other package speaks in them.
// It imports the standard library only and does nothing but describe.
package lb

import (
	"fmt"
	"net/netip"
	"strings"
)

// Plane names what forwards: L4 (packets) or L7 (HTTP requests).
type Plane string

// The two planes.
const (
	L4 Plane = "l4"
	L7 Plane = "l7"
)

// Protocol is the transport protocol of a service.
type Protocol string

// The transport protocols.
const (
	TCP Protocol = "tcp"
	UDP Protocol = "udp"
)

// Forward says how L4 delivers a packet to a backend.
type Forward string

// The forwarding methods, with the names LVS gives them.
const (
	DirectRouting Forward = "dr"      // LVS gatewaying: only the MAC address changes
	NAT           Forward = "nat"     // LVS masquerading: replies pass the balancer
	Tunnel        Forward = "tun"     // LVS tunnelling: IPIP or GUE
	FullNAT       Forward = "fullnat" // source and destination are rewritten
)

// Policy is the config word for the choice of a backend. A policy means the
// same thing in both planes.
type Policy string

// The policies. The words are those of LVS schedulers.
const (
	RoundRobin         Policy = "rr"  // each backend in turn, weights ignored (0 still means: nothing new)
	WeightedRoundRobin Policy = "wrr" // smooth weighted round robin
	LeastConn          Policy = "lc"  // fewest active flows or requests
	WeightedLeastConn  Policy = "wlc" // fewest active per weight
	SourceHash         Policy = "sh"  // by client address
	Maglev             Policy = "mh"  // Maglev hashing of client address and port

	// Of L4 only, each as net/netfilter/ipvs/ip_vs_NAME.c has it.
	DestinationHash    Policy = "dh"    // by the address that the client asked for
	LocalityLeastConn  Policy = "lblc"  // one backend per destination, the least loaded when it is overloaded
	LocalityReplicated Policy = "lblcr" // a set of backends per destination
	ShortestDelay      Policy = "sed"   // (active + 1) / weight
	NeverQueue         Policy = "nq"    // an idle backend, or else sed
	Failover           Policy = "fo"    // the heaviest that is not overloaded
	Overflow           Policy = "ovf"   // the heaviest whose active flows are below its weight
	TwoChoices         Policy = "twos"  // the better of two drawn at random by weight

	// Of L7 only.
	PowerOfTwo Policy = "p2c"    // two drawn at random by weight, the one with fewer active per weight
	PeakEWMA   Policy = "ewma"   // two likewise, the one with the lower latency × (active + 1) / weight
	Random     Policy = "random" // at random by weight
	KeyHash    Policy = "hash"   // Maglev hashing of a part of the request, see HTTP.Hash
	First      Policy = "first"  // the first in service order that is below its MaxConn
)

// A BackendID is stable for as long as its backend is a member of its service,
// whatever happens to the backend's weight, health or admin state. It is never
// reused while the lab is up. 0 is no backend.
type BackendID uint32

// VIP is what clients address.
type VIP struct {
	Addr  netip.AddrPort `json:"addr"` // port 0: any port, on L4
	Proto Protocol       `json:"proto"`
}

// String returns ip:port/proto, or none.
func (v VIP) String() string {
	if !v.Addr.IsValid() {
		return "none"
	}
	return v.Addr.String() + "/" + string(v.Proto)
}

// Service is what clients address, and the backends behind it.
type Service struct {
	Name     string    `json:"name"`
	Plane    Plane     `json:"plane"`
	VIP      VIP       `json:"vip"`               // absent on L4 where L4.Also says more, on L7 of a service that only routes lead to
	Forward  Forward   `json:"forward,omitempty"` // L4 only
	Policy   Policy    `json:"policy"`
	L4       L4Options `json:"l4,omitzero"`
	Check    string    `json:"check,omitempty"`  // name of a Check; empty: backends count as up
	HTTP     HTTP      `json:"http,omitzero"`    // L7 only
	Routes   []Route   `json:"routes,omitempty"` // L7 only, in order
	Backends []Backend `json:"backends"`
}

// Backend is one target of a service.
type Backend struct {
	ID       BackendID      `json:"id"`
	Name     string         `json:"name"`                // unique in its service: "s1", or "s1:8080" off the service's port
	Addr     netip.AddrPort `json:"addr"`                // port 0: the one that the packet came to, on L4
	Weight   uint32         `json:"weight"`              // 0: takes nothing new, keeps what it has; L4 takes up to 2^31-1
	Upper    uint32         `json:"upper,omitempty"`     // L4: flows at which it takes nothing new; 0: never
	Lower    uint32         `json:"lower,omitempty"`     // L4: flows below which it does again; 0: three quarters of Upper
	MaxConn  uint32         `json:"max_conn,omitempty"`  // L7: requests in flight at which it takes nothing more; 0: no limit
	Backup   bool           `json:"backup,omitempty"`    // L7: chosen only if no backend that is not a backup can be
	ServerID uint16         `json:"server_id,omitempty"` // L4Options.QUIC: the server ID in its connection IDs; 0: ID mod 2^16
	Health   Health         `json:"health"`              // what the checker found
	Admin    Admin          `json:"admin"`               // what a person set
}

// Eligible reports whether the backend may be chosen for something new.
func (b Backend) Eligible() bool {
	return b.Health == Up && b.Admin == Enabled && b.Weight > 0
}

// Forwards reports whether what the backend already has may go on: a draining
// backend and one of weight 0 keep their flows, a disabled or failed one does not.
func (b Backend) Forwards() bool {
	return b.Health != Down && b.Admin != Disabled
}

// Health is what the checker found of a backend.
type Health uint8

// The states of health.
const (
	Unknown Health = iota // not probed often enough yet; takes nothing new
	Up
	Down
)

var healthNames = []string{"unknown", "up", "down"}

func (h Health) String() string { return name(healthNames, int(h)) }

// MarshalText implements encoding.TextMarshaler.
func (h Health) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Health) UnmarshalText(text []byte) error {
	i, err := index(healthNames, "health", string(text))
	*h = Health(i)
	return err
}

// Admin is what a person set for a backend.
type Admin uint8

// The admin states.
const (
	Enabled  Admin = iota
	Draining       // keeps what it has, takes nothing new
	Disabled       // takes nothing and keeps nothing
)

var adminNames = []string{"enabled", "draining", "disabled"}

func (a Admin) String() string { return name(adminNames, int(a)) }

// MarshalText implements encoding.TextMarshaler.
func (a Admin) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Admin) UnmarshalText(text []byte) error {
	i, err := index(adminNames, "admin state", string(text))
	*a = Admin(i)
	return err
}

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("invalid(%d)", i)
}

func index(names []string, what, word string) (int, error) {
	for i, n := range names {
		if n == word {
			return i, nil
		}
	}
	return 0, fmt.Errorf("parse %s %q: want one of %s", what, word, strings.Join(names, ", "))
}
