package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lbctl/internal/lb"
)

// node is a node being resolved.
type node struct {
	Node
	at     Pos
	spec   NodeSpec
	number int // of a name like s7: 7; 0: the name has none
	nets   []*network
	ports  []uint16 // that servers of the node must listen on

	overBalancer []Route // of replies under nat
}

// shortNames are the short names of roles: s7 is the seventh server.
var shortNames = map[Role]string{RoleClient: "c", RoleBalancer: "lb", RoleServer: "s", RoleRouter: "r"}

// roleOrder is the order of nodes in a Topology.
var roleOrder = []Role{RoleClient, RoleBalancer, RoleRouter, RoleServer}

// roster lists the nodes: those that clients, servers and balancers make,
// refined or joined by those of nodes.
func (r *resolver) roster() {
	declared := map[Role]bool{}
	for _, e := range r.spec.Nodes.Entries {
		declared[Role(e.Value.Role.Value)] = true
	}
	r.named = map[string]*node{}
	r.implied(RoleClient, count(r.spec.Clients, declared[RoleClient], 1), r.spec.Clients.Pos)
	r.implied(RoleBalancer, count(r.spec.Balancers, declared[RoleBalancer], 1), r.spec.Balancers.Pos)
	r.implied(RoleServer, count(r.spec.Servers, declared[RoleServer], 3), r.spec.Servers.Pos)
	for _, e := range limited(r, "nodes", r.spec.Nodes.Entries, maxNodes) {
		r.declare(e)
	}
	slices.SortStableFunc(r.nodes, func(a, b *node) int {
		return slices.Index(roleOrder, a.Role) - slices.Index(roleOrder, b.Role)
	})
	for _, n := range r.nodes {
		n.spec = filled(n.spec)
		r.joinNetworks(n)
		r.checkNode(n)
	}
}

func count[B bounds](v Val[Int[B]], declared bool, otherwise int) int {
	if v.IsSet() {
		return int(v.Value)
	}
	if declared {
		return 0
	}
	return otherwise
}

// implied adds the nodes 1 to count of a role.
func (r *resolver) implied(role Role, count int, at Pos) {
	for i := range count {
		n := &node{at: at, number: i + 1}
		n.Name, n.Role = shortNames[role]+strconv.Itoa(i+1), role
		r.nodes, r.named[n.Name] = append(r.nodes, n), n
	}
}

// declare refines an implied node by an entry of nodes, or adds a node.
func (r *resolver) declare(e Entry[NodeName, NodeSpec]) {
	name, role := string(e.Key.Value), e.Value.Role
	n := r.named[name]
	switch {
	case n != nil && role.IsSet() && Role(role.Value) != n.Role:
		r.fail(role.Pos, "", "role: %s is a %s already, made by %q: want another name for a %s", name, n.Role, makerOf(n.Role), role.Value)
	case n == nil && !role.IsSet():
		r.fail(e.Key.Pos, "", "node %s needs \"role\": %s", name, r.whyRole(name))
	case n == nil:
		n = &node{number: numberOf(Role(role.Value), name)}
		n.Name, n.Role = name, Role(role.Value)
		r.nodes, r.named[name] = append(r.nodes, n), n
	}
	if n != nil {
		n.at, n.spec = e.Key.Pos, e.Value
	}
}

func makerOf(role Role) string {
	return string(role) + "s"
}

// whyRole says why a node without a role is not one of the implied ones.
func (r *resolver) whyRole(name string) string {
	if numberOf(RoleServer, name) > 0 && r.spec.Servers.IsSet() {
		return fmt.Sprintf("servers: %d does not make it", r.spec.Servers.Value)
	}
	return "client, balancer, server or router"
}

// numberOf returns 7 for a server named s7, and 0 for one with another kind of name.
func numberOf(role Role, name string) int {
	digits, ok := strings.CutPrefix(name, shortNames[role])
	v, err := strconv.ParseUint(digits, 10, 16)
	if !ok || err != nil || strconv.FormatUint(v, 10) != digits {
		return 0
	}
	return int(v)
}

// joinNetworks finds the networks that a node has links to.
func (r *resolver) joinNetworks(n *node) {
	switch first, last := r.nets[0], r.nets[len(r.nets)-1]; {
	case n.spec.Networks.IsSet():
		for _, l := range n.spec.Networks.Items {
			net, ok := find(r, "network", l.Network, r.netNamed)
			if !ok {
				continue
			}
			if slices.Contains(n.nets, net) {
				r.fail(l.Network.Pos, "", "node %s is on network %s twice", n.Name, net.Name)
				continue
			}
			n.nets = append(n.nets, net)
		}
	case n.Role == RoleRouter:
		n.nets = r.nets
	case n.Role == RoleClient:
		n.nets = []*network{first}
	default:
		n.nets = []*network{last}
	}
	if n.Role == RoleRouter {
		for _, net := range n.nets {
			net.routers = append(net.routers, n)
		}
	}
}

// hookOf finds where a balancer takes packets. Two do so alike, as the links of
// the lab are made for the one hook or the other.
func (r *resolver) hookOf(n *node) {
	n.Hook = lb.HookAuto
	if r.balancer != nil && n != r.balancer {
		n.Hook = r.balancer.Hook
	}
	if typed := n.spec.Hook; typed.IsSet() {
		if n == r.standby && lb.Hook(typed.Value) != n.Hook {
			r.fail(typed.Pos, "", "hook: %s takes packets by %s, and its standby must do so, too, not by %s", r.balancer.Name, n.Hook, typed.Value)
		}
		n.Hook = lb.Hook(typed.Value)
	}
}

// shapeOf finds how a balancer's l7 plane spends processes: as it says, else as the
// other balancer does.
func (r *resolver) shapeOf(n *node) {
	if n == r.standby && !n.spec.L7.Pos.IsSet() {
		n.L7 = r.balancer.L7
		return
	}
	n.L7 = n.spec.L7.shape(r)
}

// checkNode refuses what a node's role has no use for, a third balancer, and a
// standby that could not take over because it is elsewhere.
func (r *resolver) checkNode(n *node) {
	switch {
	case n.Role != RoleBalancer:
	case r.balancer == nil:
		r.balancer = n
	case r.standby != nil:
		r.fail(n.at, "", "%s is a third balancer beside %s and %s: a lab has one, or two that take over from each other", n.Name, r.balancer.Name, r.standby.Name)
	case !slices.Equal(n.nets, r.balancer.nets):
		r.fail(n.at, "", "networks: standby %s must be on the same ones as %s, in the same order: it takes over what %s has on each link", n.Name, r.balancer.Name, r.balancer.Name)
	default:
		r.standby = n
	}
	if n.Role == RoleBalancer {
		r.hookOf(n)
		r.shapeOf(n)
	} else {
		r.onlyOf(RoleBalancer, n, map[string]Pos{"hook": n.spec.Hook.Pos, "l7": n.spec.L7.Pos})
	}
	if n.Role == RoleRouter && len(n.nets) == 1 {
		r.fail(n.at, "", "router %s is on one network only: want two or more to join", n.Name)
	}
	if n.Role != RoleServer {
		r.onlyOf(RoleServer, n, map[string]Pos{"ports": n.spec.Ports.Pos, "body": n.spec.Body.Pos})
	}
	seen := map[Port]bool{}
	for _, p := range n.spec.Ports.Items {
		if seen[p.Value] {
			r.fail(p.Pos, "", "ports: %d is there twice", p.Value)
		}
		seen[p.Value] = true
		n.ports = append(n.ports, uint16(p.Value))
	}
}

// onlyOf refuses keys that are for nodes of another role.
func (r *resolver) onlyOf(role Role, n *node, keys map[string]Pos) {
	for key, at := range keys {
		if at.IsSet() {
			r.fail(at, "", "%s is for %ss: %s is a %s", key, role, n.Name, n.Role)
		}
	}
}
