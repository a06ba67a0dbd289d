package scenario

import (
	"cmp"
	"net/netip"

	"lbctl/internal/lb"
)

// Under nat a server's replies must come back over the balancer, while its
// replies under dr, those to l7 and those to clients that ask it directly, as
// every measurement has it, must not. What tells them apart is the source: so
// nat reaches each server by a second address, and only packets from there are
// routed over the balancer.

// backendAddr is where a service reaches a node on a network.
func (r *resolver) backendAddr(s *service, n *node, net *network) netip.Addr {
	if s.Forward != lb.NAT {
		return n.addr(net, s.backends6())
	}
	link := n.link(net)
	if a, ok := second(*link, s.six); ok {
		return a
	}
	addr, ok := r.freeForNAT(n, net, s.six)
	if !ok {
		r.fail(n.at, "", "network %s: %s has no address left for %s to be reached by under nat", net.Name, net.subnet(s.six), n.Name)
		return n.addr(net, s.six)
	}
	net.taken[addr] = holder{who: "node " + n.Name + " under nat"}
	link.Addrs = append(link.Addrs, netip.PrefixFrom(addr, addr.BitLen()))
	n.overBalancer = append(n.overBalancer, Route{Dst: everywhere(s.six), Via: r.overActive(n, net, s.six), From: addr})
	return addr
}

// freeForNAT returns the address with the node's number, or the first that is
// free, if need be of those for servers.
func (r *resolver) freeForNAT(n *node, net *network, six bool) (netip.Addr, bool) {
	subnet := net.subnet(six)
	if at, fits := nth(net.size(subnet), natBlock, n.number); n.number > 0 && fits {
		if addr := offset(subnet.Addr(), at); net.taken[addr] == (holder{}) {
			return addr, true
		}
	}
	if addr, ok := firstFree(net, subnet, natBlock, map[string]int{}); ok {
		return addr, true
	}
	return firstFree(net, subnet, RoleServer, map[string]int{})
}

// link is the node's link to a network that it is on.
func (n *node) link(net *network) *Link {
	for i, o := range n.nets {
		if o == net {
			return &n.Links[i]
		}
	}
	return nil
}

// second returns the address of a server's link that nat reaches it by.
func second(l Link, six bool) (netip.Addr, bool) {
	for _, p := range l.Addrs {
		if p.IsSingleIP() && p.Addr().Is6() == six {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}

// Direct returns where a client asks a service's backend itself, past the balancer:
// its address, save under nat, when replies from there take the way over the balancer.
// A backend without a port of its own is asked at that of the service's Target.
func (t Topology) Direct(s lb.Service, b lb.Backend) netip.AddrPort {
	addr := b.Addr.Addr()
	backend := netip.AddrPortFrom(addr, cmp.Or(b.Addr.Port(), s.Target().Port()))
	for _, n := range t.Nodes {
		if n.Role != RoleServer {
			continue
		}
		for _, l := range n.Links {
			if a, ok := second(l, addr.Is6()); !ok || a != addr {
				continue
			}
			for _, p := range l.Addrs {
				if !p.IsSingleIP() && p.Addr().Is6() == addr.Is6() {
					return netip.AddrPortFrom(p.Addr(), backend.Port())
				}
			}
		}
	}
	return backend
}
