package scenario

import (
	"net/netip"
	"slices"
	"strconv"

	"lbctl/internal/lb"
)

// backends gives each service its backends with their addresses, and the nodes
// what they need to answer: under dr and tun VIPs on lo and prefixes as their own, under nat an address whose
// packets go over the balancer.
func (r *resolver) backends() {
	for _, s := range r.svcs {
		seen := map[netip.AddrPort]bool{}
		names := map[string]bool{}
		for _, w := range s.want {
			net := r.backendNetwork(s, w)
			if net == nil && !w.spec.Pos.IsSet() {
				break // the same for every server of a service that lists none
			}
			if net == nil {
				continue
			}
			port := s.port
			if w.spec.Port.IsSet() {
				port = uint16(w.spec.Port.Value)
			}
			b := lb.Backend{
				Name:   w.node.Name,
				Addr:   netip.AddrPortFrom(r.backendAddr(s, w.node, net), port),
				Weight: uint32(w.spec.Weight.Value), ServerID: uint16(w.spec.ServerID.Value),
				MaxConn: uint32(w.spec.MaxConn.Value), Backup: bool(w.spec.Backup.Value),
				Upper: uint32(w.spec.Upper.Value), Lower: uint32(w.spec.Lower.Value),
			}
			if port != s.port {
				b.Name += ":" + strconv.Itoa(int(port))
			}
			if seen[b.Addr] || names[b.Name] {
				r.fail(w.spec.Pos, "", "backends: service %s has %s twice", s.Name, b.Name)
				continue
			}
			seen[b.Addr], names[b.Name] = true, true
			s.Backends = append(s.Backends, b)
			r.serve(s, w.node, b.Addr)
		}
	}
}

// serve notes what a backend's node needs for a service: its ports, and the
// addresses that packets come with.
func (r *resolver) serve(s *service, n *node, at netip.AddrPort) {
	if at.Port() != 0 {
		n.ports = append(n.ports, at.Port())
	}
	for _, m := range s.matches {
		if at.Port() == 0 {
			n.ports = append(n.ports, m.ports.listened()...)
		}
	}
	if check := r.known[s.Check]; check.Port != 0 {
		n.ports = append(n.ports, check.Port)
	}
	if s.Forward == lb.Tunnel {
		r.endTunnel(s, n, at.Addr())
	}
	if s.Forward != lb.DirectRouting && s.Forward != lb.Tunnel {
		return
	}
	for _, m := range s.matches {
		if m.addr.IsValid() {
			n.Loopback = appendHost(n.Loopback, m.addr)
		} else if !slices.Contains(n.Local, m.prefix) {
			n.Local = append(n.Local, m.prefix)
		}
	}
}

// addr returns the node's own address on a network.
func (n *node) addr(net *network, six bool) netip.Addr {
	for i, o := range n.nets {
		if o != net {
			continue
		}
		for _, a := range n.Links[i].Addrs {
			if a.Addr().Is6() == six && !a.IsSingleIP() {
				return a.Addr()
			}
		}
	}
	return netip.Addr{}
}

// backendNetwork chooses the network by which the balancer reaches a backend.
func (r *resolver) backendNetwork(s *service, w wanted) *network {
	at := w.spec.Pos
	if !at.IsSet() {
		at = s.at
	}
	family := "IPv4"
	if s.backends6() {
		family = "IPv6"
	}
	if typed := w.spec.Network; typed.IsSet() {
		net, ok := find(r, "network", typed, r.netNamed)
		switch {
		case !ok:
			return nil
		case !w.node.on(net):
			r.fail(typed.Pos, "", "network: %s is not on %s", w.node.Name, net.Name)
			return nil
		case !net.subnet(s.backends6()).IsValid():
			r.fail(typed.Pos, "", "network: %s has no %s, which service %s needs", net.Name, family, s.Name)
			return nil
		case s.Plane == lb.L4 && s.Forward != lb.Tunnel && !r.balancer.on(net):
			r.fail(typed.Pos, "", "network: balancer %s is not on %s: %s reaches a backend by its MAC address only", r.balancer.Name, net.Name, s.Forward)
			return nil
		}
		return net
	}
	var others []*network
	for _, net := range w.node.nets {
		if !net.subnet(s.backends6()).IsValid() {
			continue
		}
		if r.balancer.on(net) {
			return net
		}
		others = append(others, net)
	}
	if (s.Plane == lb.L7 || s.Forward == lb.Tunnel) && len(others) > 0 {
		return others[0] // over routers; reachable says if there are none
	}
	r.fail(at, "", "service %s: %s shares no network with %s that has %s", s.Name, w.node.Name, r.balancer.Name, family)
	return nil
}
