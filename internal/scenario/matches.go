package scenario

import (
	"net/netip"
	"slices"

	"lbctl/internal/lb"
)

// match is a set of destinations that a service has, being resolved: first the
// service's own, by vip or prefix, then those of also.
type match struct {
	at     Pos
	vip    Val[Endpoint]
	prefix netip.Prefix // valid: instead of a VIP
	ports  PortRange
	proto  lb.Protocol
	net    *network // of the VIP; of a prefix the one that its packets come by
	addr   netip.Addr
}

// destination is the match as the planes see it, once addresses are given out.
func (m match) destination() lb.Match {
	p := m.prefix
	if !p.IsValid() {
		p = netip.PrefixFrom(m.addr, m.addr.BitLen())
	}
	return lb.Match{Prefix: p, First: m.ports.First, Last: m.ports.Last, Proto: m.proto}
}

// endpoint finds the service's ports, family and network, and what else clients may address.
func (r *resolver) endpoint(s *service) {
	spec := &s.spec
	own := &match{at: s.at, vip: spec.VIP, prefix: spec.Prefix.Value.Prefix, proto: lb.Protocol(spec.Proto.Value)}
	own.ports = r.portsOf(spec.VIP, spec.Port, PortRange{80, 80})
	s.six = bool(spec.IPv6.Value)
	if isNone(spec.VIP) && s.Plane == lb.L7 {
		s.net, s.port = r.networkOf(s), own.ports.First
		return
	}
	switch {
	case spec.VIP.IsSet() && spec.Prefix.IsSet():
		r.fail(spec.Prefix.Pos, "", "prefix: the service has a vip: want the other one under also")
	case spec.VIP.IsSet():
		own.at, s.six = spec.VIP.Pos, spec.VIP.Value.Addr.Is6()
	case spec.Prefix.IsSet():
		own.at, s.six = spec.Prefix.Pos, spec.Prefix.Value.Addr().Is6()
		r.offNetworks(spec.Prefix)
	}
	if spec.IPv6.IsSet() && bool(spec.IPv6.Value) != s.six {
		what := "vip " + spec.VIP.Value.Addr.String()
		if spec.Prefix.IsSet() {
			what = "prefix " + spec.Prefix.Value.String()
		}
		r.fail(spec.IPv6.Pos, "", "ipv6: %t contradicts %s", spec.IPv6.Value, what)
	}
	s.net = r.networkOf(s)
	own.net = s.net
	s.matches = []*match{own}
	for _, a := range spec.Also.Items {
		if isNone(a.VIP) {
			r.fail(a.VIP.Pos, "", "also: want an address, a prefix or a port")
			continue
		}
		r.also(s, a)
	}
	s.port = own.ports.First
	for _, m := range s.matches {
		if m.ports != own.ports || !m.ports.one() {
			s.port = 0
		}
	}
}

// also adds what clients may address beside: each part that is not typed is the service's own.
func (r *resolver) also(s *service, a MatchSpec) {
	own := s.matches[0]
	m := &match{at: a.Pos, vip: a.VIP, prefix: a.Prefix.Value.Prefix, proto: own.proto, net: s.net}
	m.ports = r.portsOf(a.VIP, a.Port, own.ports)
	if a.Proto.IsSet() {
		m.proto = lb.Protocol(a.Proto.Value)
	}
	six := s.six
	switch {
	case a.VIP.IsSet() && a.Prefix.IsSet():
		r.fail(a.Prefix.Pos, "", "prefix: there is a vip, too: want two entries of also")
	case a.VIP.IsSet():
		six = a.VIP.Value.Addr.Is6()
	case a.Prefix.IsSet():
		six = a.Prefix.Value.Addr().Is6()
		r.offNetworks(a.Prefix)
	default:
		m.vip, m.prefix = own.vip, own.prefix
	}
	if six != s.six {
		r.fail(a.Pos, "", "also: a service and its backends are of one address family")
		return
	}
	if a.VIP.IsSet() && r.balancer != nil && len(r.balancer.nets) > 0 {
		m.net = r.networkWithVIP(a.VIP)
	}
	s.matches = append(s.matches, m)
}

// portsOf returns the ports typed with an address or beside it.
func (r *resolver) portsOf(vip Val[Endpoint], port Val[PortRange], otherwise PortRange) PortRange {
	at := vip.Value.Port
	switch {
	case port.IsSet() && at != 0 && port.Value != PortRange{at, at}:
		r.fail(port.Pos, "", "port: %s contradicts the port %d of vip", port.Value, at)
	case port.IsSet():
		return port.Value
	case at != 0:
		return PortRange{at, at}
	}
	return otherwise
}

// offNetworks refuses a prefix that hosts of the lab would ask for by ARP: the
// balancer answers for single addresses only, and a prefix is routed to it.
func (r *resolver) offNetworks(p Val[Prefix]) {
	for _, net := range r.nets {
		subnet := net.subnet(p.Value.Addr().Is6())
		if subnet.IsValid() && subnet.Overlaps(p.Value.Prefix) {
			r.fail(p.Pos, "", "prefix: %s overlaps %s, the subnet of network %s: want one off all networks, which is routed to the balancer", p.Value, subnet, net.Name)
			return
		}
	}
}

// settle gives the service its VIP and what there is beside it, and refuses
// what is another's as well.
func (r *resolver) settle() {
	var all []lb.Service
	for _, s := range r.svcs {
		proto := s.VIP.Proto
		s.VIP = lb.VIP{}
		seen := map[lb.Match]bool{}
		for i, m := range s.matches { // none, without a VIP
			if m.prefix == (netip.Prefix{}) && !m.addr.IsValid() {
				m.addr = s.matches[0].addr
			}
			d := m.destination()
			if seen[d] {
				r.fail(m.at, "", "also: service %s has %s already", s.Name, d)
			}
			seen[d] = true
			if i == 0 && d.Prefix.IsSingleIP() && d.First == d.Last {
				s.VIP = lb.VIP{Addr: netip.AddrPortFrom(d.Prefix.Addr(), d.First), Proto: proto}
				continue
			}
			s.L4.Also = append(s.L4.Also, d)
		}
		all = append(all, s.Service)
	}
	for _, c := range lb.Clashes(all) {
		s := r.svcNamed[c.Service]
		i := slices.IndexFunc(s.matches, func(m *match) bool { return m.destination() == c.Match })
		if c.Match == c.With {
			r.fail(s.matches[i].at, "", "%s: %s is that of service %s", s.matches[i].key(), c.Match, c.Other)
			continue
		}
		r.fail(s.matches[i].at, "", "port: %s of service %s overlaps %s of service %s, and neither is within the other", c.Match, c.Service, c.With, c.Other)
	}
}

func (m match) key() string {
	if m.prefix.IsValid() {
		return "prefix"
	}
	return "vip"
}

// prefixes are those that packets to the service are routed by.
func (s *service) prefixes() (out []netip.Prefix) {
	for _, m := range s.matches {
		if m.prefix.IsValid() && !slices.Contains(out, m.prefix) {
			out = append(out, m.prefix)
		}
	}
	return out
}

// probePort says which port to probe where backends have none of their own: the
// first that clients may address, or 80.
func (r *resolver) probePort(s *service) {
	c := r.known[s.Check]
	bare := slices.ContainsFunc(s.want, func(w wanted) bool { return !w.spec.Port.IsSet() })
	if s.port != 0 || s.Check == "" || c.Port != 0 || !bare {
		return
	}
	if _, taken := r.known[s.Name]; taken && s.Check != s.Name {
		r.fail(s.at, "", "service %s has several ports, so check %s needs a port of its own to probe, and its name is taken by one of checks: set port there", s.Name, s.Check)
		return
	}
	c.Name, c.Port = s.Name, s.matches[0].ports.listened()[0]
	s.Check, r.known[s.Name] = s.Name, c
}
