package main

import (
	"fmt"
	"slices"

	"lbctl/internal/lb"
)

// arm is one way from the client to the servers.
type arm struct {
	Name    string
	Forward lb.Forward // of IPVS and of ours; empty: no balancer
	Hook    lb.Hook    // of ours
	IPVS    bool
	Decap   bool // servers take packets out of tunnels with our program, as a lab's do; else with the kernel's ipip device
}

const (
	direct = "direct" // client and servers on one bridge
	wire   = "wire"   // over the balancer and back, by tc: what every arm of dr has to pay
	routed = "routed" // the balancer forwards as a router, requests and replies
)

// forwards and hooks span the matrix.
var (
	forwards = []lb.Forward{lb.DirectRouting, lb.NAT, lb.Tunnel}
	hooks    = lb.Hooks
)

// arms are all, in the order in which a round goes through them.
func arms() []arm {
	all := []arm{{Name: direct}, {Name: wire, Forward: lb.DirectRouting}, {Name: routed}}
	for _, f := range forwards {
		all = append(all, arm{Name: "ipvs " + string(f), Forward: f, IPVS: true})
		for _, hook := range hooks {
			all = append(all, arm{Name: fmt.Sprintf("ours %s %s", f, hook), Forward: f, Hook: hook, Decap: f == lb.Tunnel})
		}
	}
	// The other way round: what of a tunnel is the balancer's and what the servers'.
	return append(all,
		arm{Name: "ours tun tcx, ipip", Forward: lb.Tunnel, Hook: lb.HookTCX},
		arm{Name: "ipvs tun, decap", Forward: lb.Tunnel, IPVS: true, Decap: true})
}

// order is that in which a round goes through arms: those of one hook follow one
// another.
func order(a arm) int { return slices.Index(hooks, a.Hook) }

// backend is the address by which the arm reaches server i. Replies of the
// second kind of address pass the balancer, by a rule on the server.
func (a arm) backend(i int) string {
	if a.Forward == lb.NAT || a.Name == routed {
		return routedAddr(i)
	}
	return serverAddr(i)
}
