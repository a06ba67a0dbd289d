package scenario

import (
	"net/netip"
	"slices"
	"strings"

	"lbctl/internal/lb"
)

// islands numbers the networks so that two have the same number iff routers
// join them, for one family. A network without the family is -1.
func (r *resolver) islands(six bool) map[*network]int {
	island := map[*network]int{}
	for i, net := range r.nets {
		if island[net] = i; !net.subnet(six).IsValid() {
			island[net] = -1
		}
	}
	for _, n := range r.nodes {
		if n.Role != RoleRouter {
			continue
		}
		to := -1
		for _, net := range n.nets {
			from := island[net]
			if from < 0 || from == to {
				continue
			}
			if to < 0 {
				to = from
				continue
			}
			for _, o := range r.nets {
				if island[o] == from {
					island[o] = to
				}
			}
		}
	}
	return island
}

// reachable refuses a service if a client cannot reach its VIP, the balancer a
// backend, or a client and a backend each other past the balancer: the replies
// of direct routing take that way, and so does the direct run that every
// measurement is set against.
func (r *resolver) reachable() {
	for _, six := range []bool{false, true} {
		island := r.islands(six)
		joined := func(a *node, to *network) bool {
			return slices.ContainsFunc(a.nets, func(n *network) bool { return island[n] >= 0 && island[n] == island[to] })
		}
		for _, s := range r.svcs {
			if s.six == six {
				r.reach(s, joined)
			}
		}
	}
}

func (r *resolver) reach(s *service, joined func(*node, *network) bool) {
	seen := map[*network]bool{}
	for i, b := range s.Backends {
		w := s.want[i]
		at := w.spec.Pos
		if !at.IsSet() {
			at = s.at
		}
		net := networkWith(w.node, b.Addr.Addr())
		if seen[net] {
			continue
		}
		seen[net] = true
		if !joined(r.balancer, net) {
			r.fail(at, "", "balancer %s cannot reach %s of service %s: no router leads to network %s", r.balancer.Name, b.Name, s.Name, net.Name)
			return
		}
		for _, c := range r.nodes {
			if c.Role == RoleClient && !joined(c, net) {
				why := "direct runs"
				if s.Forward == lb.DirectRouting || s.Forward == lb.Tunnel {
					why = "the replies of " + string(s.Forward)
				}
				r.fail(at, "", "client %s and %s of service %s cannot reach each other past the balancer, as %s must: no router leads from %s to network %s", c.Name, b.Name, s.Name, why, c.nets[0].Name, net.Name)
				return
			}
		}
	}
	for _, c := range r.nodes {
		for _, m := range s.matches {
			if c.Role == RoleClient && !joined(c, m.net) {
				d := m.destination()
				r.fail(s.at, "", "client %s cannot reach %s of service %s: no router leads from %s to network %s", c.Name, d, s.Name, c.nets[0].Name, m.net.Name)
				return
			}
		}
	}
}

func networkWith(n *node, a netip.Addr) *network {
	for _, net := range n.nets {
		if net.Subnet.Contains(a) || net.Subnet6.IsValid() && net.Subnet6.Contains(a) {
			return net
		}
	}
	return nil
}

// routes gives each node its way to every network that it is not on.
func (r *resolver) routes() {
	ways := map[string][]Route{} // hosts on the same networks have the same
	for _, n := range r.nodes {
		key := n.Name
		if n.Role != RoleRouter {
			var names []string
			for _, net := range n.nets {
				names = append(names, net.Name)
			}
			key = "on " + strings.Join(names, " ")
		}
		if _, done := ways[key]; !done {
			ways[key] = append(r.ways(n, false), r.ways(n, true)...)
		}
		n.Routes = slices.Clone(ways[key])
		if n.Role == RoleClient || n.Role == RoleRouter {
			n.Routes = append(n.Routes, r.prefixRoutes(n)...)
		}
		n.Routes = append(r.override(n, n.Routes), n.overBalancer...)
	}
}

// prefixRoutes lead a node to the prefixes of services: to the active balancer
// where they share a network, or else the way to its network.
func (r *resolver) prefixRoutes(n *node) (out []Route) {
	seen := map[netip.Prefix]bool{}
	for _, s := range r.svcs {
		for _, p := range s.prefixes() {
			if seen[p] {
				continue
			}
			seen[p] = true
			if n.on(s.net) {
				out = append(out, Route{Dst: p, Via: r.overActive(n, s.net, s.six)})
				continue
			}
			to := s.net.subnet(s.six)
			i := slices.IndexFunc(n.Routes, func(o Route) bool { return o.Dst.Bits() <= to.Bits() && o.Dst.Contains(to.Addr()) })
			if i >= 0 && n.Routes[i].Dst.Bits() > 0 { // a default route leads there as it is
				out = append(out, Route{Dst: p, Via: n.Routes[i].Via})
			}
		}
	}
	return out
}

// ways returns a node's shortest ways, breadth first; of equal ones, the one
// over the router that comes first. A host that has one next hop for all gets a
// default route.
func (r *resolver) ways(n *node, six bool) []Route {
	via := map[*network]netip.Addr{}
	reached := map[*network]bool{}
	var queue []*network
	for _, net := range n.nets {
		if net.subnet(six).IsValid() {
			reached[net] = true
			queue = append(queue, net)
		}
	}
	var out []Route
	for len(queue) > 0 {
		net := queue[0]
		queue = queue[1:]
		for _, router := range net.routers {
			if router == n {
				continue
			}
			for _, next := range router.nets {
				if reached[next] || !next.subnet(six).IsValid() {
					continue
				}
				reached[next] = true
				queue = append(queue, next)
				if via[next] = via[net]; !via[net].IsValid() {
					via[next] = router.addr(net, six)
				}
				out = append(out, Route{Dst: next.subnet(six), Via: via[next]})
			}
		}
	}
	same := !slices.ContainsFunc(out, func(o Route) bool { return o.Via != out[0].Via })
	if n.Role != RoleRouter && len(out) > 0 && same {
		return []Route{{Dst: everywhere(six), Via: out[0].Via}}
	}
	return out
}

func everywhere(six bool) netip.Prefix {
	if six {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// override puts a node's typed routes in the place of computed ones.
func (r *resolver) override(n *node, routes []Route) []Route {
	typed := map[netip.Prefix]bool{}
	for _, spec := range n.spec.Routes.Items {
		route := Route{Dst: spec.To.Value.Prefix, Via: spec.Via.Value.Addr}
		if route.Dst.Bits() == 0 {
			route.Dst = everywhere(route.Via.Is6())
		}
		net := networkWith(n, route.Via)
		switch {
		case net == nil:
			r.fail(spec.Via.Pos, "", "via: %s is on no network of %s", route.Via, n.Name)
		case route.Dst.Addr().Is6() != route.Via.Is6():
			r.fail(spec.Via.Pos, "", "via: %s and %s are of different families", route.Via, route.Dst)
		case net.taken[route.Via] == holder{}:
			r.fail(spec.Via.Pos, "", "via: no node has address %s", route.Via)
		case net.taken[route.Via].who == "node "+n.Name:
			r.fail(spec.Via.Pos, "", "via: %s is %s itself", route.Via, n.Name)
		case typed[route.Dst]:
			r.fail(spec.To.Pos, "", "to: %s has two routes to %s", n.Name, route.Dst)
		}
		typed[route.Dst] = true
		routes = slices.DeleteFunc(routes, func(o Route) bool { return o.Dst == route.Dst })
		routes = append(routes, route)
	}
	return routes
}
