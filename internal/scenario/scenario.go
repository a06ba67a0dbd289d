package scenario

import (
	"net/netip"
	"time"

	"lbctl/internal/lb"
)

// Scenario is what a Spec means: every default filled in, every address
// chosen, every route computed. Nothing downstream has to think again.
type Scenario struct {
	Name      string     `json:"name"`
	Topology  Topology   `json:"topology"`
	Config    lb.Config  `json:"config"`
	Failover  Failover   `json:"failover,omitzero"` // of a lab with two balancers
	Workloads []Workload `json:"workloads"`
	Compare   Compare    `json:"compare"`
}

// Workload is one kind of load that the client puts on a service.
type Workload struct {
	Name        string        `json:"name"`
	Connections int           `json:"connections"` // open at a time
	Rate        float64       `json:"rate"`        // requests per second, open loop; 0: closed loop
	KeepAlive   bool          `json:"keepalive"`   // false: a new connection for each request
	Path        string        `json:"path"`
	Duration    time.Duration `json:"duration"` // of the measured part
	Warmup      time.Duration `json:"warmup"`   // before it, not measured
	Timeout     time.Duration `json:"timeout"`  // of one request
}

// Compare says which services are measured side by side, under which
// workloads, how often. Services is empty if the scenario compares nothing.
type Compare struct {
	Services  []string `json:"services"`
	Workloads []string `json:"workloads"`
	Rounds    int      `json:"rounds"` // each is A B … B A with a direct run in each half
}

// Topology is the network of a lab: what lab.Up creates.
type Topology struct {
	Lab      string     `json:"lab"`
	Networks []Network  `json:"networks"`
	Nodes    []Node     `json:"nodes"`
	Floating []Floating `json:"floating,omitempty"` // with two balancers only

	// TunnelSources is at most one prefix of each family, out of which the
	// balancers take outer sources for the flows of tun by IPIP.
	TunnelSources []netip.Prefix `json:"tunnel_sources,omitempty"`

	// LocalAddresses is at most one prefix of each family, out of which the balancers
	// take what stands for clients under fullnat.
	LocalAddresses []netip.Prefix `json:"local_addresses,omitempty"`
}

// Floating is an address that the active one of two balancers holds on the link
// of that name: a VIP, a local address of fullnat, or the next hop of what is routed over it. It is on no Link of
// a Node, because which balancer has it changes while the lab is up.
type Floating struct {
	Link string     `json:"link"`
	Addr netip.Addr `json:"addr"`
}

// Balancers returns the nodes that forward: one, or the first active one and its
// standby, with the same hook.
func (t Topology) Balancers() (out []*Node) {
	for i := range t.Nodes {
		if t.Nodes[i].Role == RoleBalancer {
			out = append(out, &t.Nodes[i])
		}
	}
	return out
}

// Offloads reports whether links leave checksums and segmentation to whoever
// sends a packet on in the end. XDP would forget that something is left to do.
func (t Topology) Offloads() bool {
	b := t.Balancers()
	return len(b) > 0 && b[0].Hook == lb.HookTCX
}

// Network is one Ethernet segment.
type Network struct {
	Name    string       `json:"name"`
	Subnet  netip.Prefix `json:"subnet"`  // IPv4; always valid
	Subnet6 netip.Prefix `json:"subnet6"` // not valid: no IPv6
	MTU     int          `json:"mtu"`
}

// Role is what a node is for.
type Role string

// The roles.
const (
	RoleClient   Role = "client"
	RoleBalancer Role = "balancer"
	RoleServer   Role = "server"
	RoleRouter   Role = "router"
)

// Node is a host of the lab. Everything in it is set inside its namespace.
type Node struct {
	Name     string         `json:"name"`
	Role     Role           `json:"role"`
	Hook     lb.Hook        `json:"hook,omitempty"` // balancers only: where L4 takes packets
	L7       lb.Shape       `json:"l7,omitzero"`    // balancers only: how the l7 plane spends processes; zero numbers are the model's own
	Links    []Link         `json:"links"`
	Loopback []netip.Prefix `json:"loopback,omitempty"` // on lo, beside 127.0.0.1 and ::1: the VIPs of a backend of dr or tun
	Local    []netip.Prefix `json:"local,omitempty"`    // prefixes of which every address is the node's own: those of a backend of dr or tun
	Decap    lb.Decap       `json:"decap,omitzero"`     // what the node takes out of tunnels
	Routes   []Route        `json:"routes,omitempty"`
	Sysctls  []Sysctl       `json:"sysctls,omitempty"` // in the order in which they must be written, once links exist and before they are up
	Servers  []Server       `json:"servers,omitempty"`
}

// Link is a node's end of its veth pair into a network.
type Link struct {
	Network string `json:"network"`
	Name    string `json:"name"` // eth0, eth1, … in the order of the node's networks
	MAC     string `json:"mac"`  // derived from the first address, so that it survives a rebuild
	// IPv4 first; the VIPs and local addresses of an only balancer, as /32 and /128, last. IPv6 ones are
	// added without duplicate detection (IFA_F_NODAD), a /128 with a preferred
	// lifetime of 0: else the kernel takes the VIP as source of the balancer's own
	// connections, since its longer prefix matches better (RFC 6724, rule 8).
	Addrs []netip.Prefix `json:"addrs"`
}

// Route is one static route. The next hop is on one of the node's networks.
type Route struct {
	Dst  netip.Prefix `json:"dst"`
	Via  netip.Addr   `json:"via"`
	From netip.Addr   `json:"from,omitzero"` // if valid: for packets with this source only, and before all routes without
}

// Sysctl is one per-namespace kernel parameter, its key as sysctl(8) writes it.
type Sysctl struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Server is one HTTP server of the lab's own.
type Server struct {
	Name string         `json:"name"` // the node's, told in X-Server
	Addr netip.AddrPort `json:"addr"` // an unspecified address: any of the node's
	Body int64          `json:"body"` // bytes of the response to /
}
