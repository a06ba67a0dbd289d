package scenario

import (
	"maps"
	"net/netip"
	"slices"

	"lbctl/internal/lb"
)

// service is a service being resolved.
type service struct {
	lb.Service
	at      Pos
	spec    ServiceSpec
	net     *network // that the VIP is on
	six     bool
	port    uint16 // 0: several, and a backend gets the one that the client asked for
	matches []*match
	want    []wanted

	outer6 bool // of tun: backends are reached over IPv6
}

// wanted is a backend before it has an address.
type wanted struct {
	node *node
	spec BackendSpec
}

// services resolves everything of services but addresses.
func (r *resolver) services() {
	if len(r.spec.Services.Entries) == 0 {
		r.fail(r.spec.Services.Pos, "", "services: want at least one")
	}
	r.svcNamed = map[string]*service{}
	for _, e := range limited(r, "services", r.spec.Services.Entries, maxServices) {
		s := &service{at: e.Key.Pos, spec: filled(e.Value)}
		r.svcs, r.svcNamed[string(e.Key.Value)] = append(r.svcs, s), s
		s.Name, s.Plane = string(e.Key.Value), lb.Plane(s.spec.Plane.Value)
		s.Policy = lb.Policy(s.spec.Policy.Value)
		s.VIP.Proto = lb.Protocol(s.spec.Proto.Value)
		s.L4.QUIC, s.L4.TOA = bool(s.spec.QUIC.Value), bool(s.spec.TOA.Value)
		if s.Plane == lb.L4 {
			s.Forward = lb.Forward(orWord(s.spec.Forward, string(lb.DirectRouting)))
			s.Policy = lb.Policy(orWord(s.spec.Policy, string(lb.Maglev)))
			s.L4.Ports, s.L4.Fallback = hashing(s.Policy, s.spec.Ports, s.spec.Fallback)
			s.L4.Persist, s.L4.OnePacket, s.L4.Lost = s.spec.Persist.persistence(), bool(s.spec.OnePacket.Value), lostOf(s.spec.Lost.Value)
			s.L4.Mark = uint32(s.spec.Mark.Value)
			s.L4.SYNLimit = uint32(s.spec.SYNLimit.Value)
			s.L4.SYNCookies, s.L4.SYNFlood = cookiesOf(s.spec.SYNCookies, s.spec.SYNFlood)
		} else {
			s.Policy = lb.Policy(orWord(s.spec.Policy, string(lb.WeightedRoundRobin)))
			s.HTTP = httpOf(s.spec.HTTP)
		}
		r.endpoint(s)
		r.tunnelOf(s)
		r.checkOf(s)
		r.wantedBackends(s)
		r.probePort(s)
		r.refuse(s)
	}
	r.httpRoutes()
}

// hashing says how sh and mh hash: mh by port unless told otherwise, since one
// client of a lab must spread over backends, and both on from a backend that
// takes nothing new.
func hashing(policy lb.Policy, ports, fallback Val[Bool]) (byPort, on bool) {
	byPort, on = policy == lb.Maglev, policy == lb.SourceHash || policy == lb.Maglev
	if ports.IsSet() {
		byPort = bool(ports.Value)
	}
	if fallback.IsSet() {
		on = bool(fallback.Value)
	}
	return byPort, on
}

func orWord[L lexicon](v Val[Enum[L]], otherwise string) string {
	if v.IsSet() {
		return string(v.Value)
	}
	return otherwise
}

// networkOf returns the network that the VIP is on, or nil after noting why there is none.
func (r *resolver) networkOf(s *service) *network {
	if r.balancer == nil || len(r.balancer.nets) == 0 {
		return nil
	}
	vip, name := s.spec.VIP, s.spec.Network
	if name.IsSet() {
		net, ok := find(r, "network", name, r.netNamed)
		if ok && !r.balancer.on(net) {
			r.fail(name.Pos, "", "network: balancer %s is not on %s", r.balancer.Name, net.Name)
			return nil
		}
		if ok && vip.IsSet() && !isNone(vip) && !net.subnet(s.six).Contains(vip.Value.Addr) {
			r.fail(vip.Pos, "", "vip: %s is not on network %s", vip.Value.Addr, net.Name)
		}
		return net
	}
	if !vip.IsSet() || isNone(vip) {
		return r.balancer.nets[0]
	}
	return r.networkWithVIP(vip)
}

func (r *resolver) networkWithVIP(vip Val[Endpoint]) *network {
	for _, net := range r.balancer.nets {
		if net.subnet(vip.Value.Addr.Is6()).Contains(vip.Value.Addr) {
			return net
		}
	}
	r.fail(vip.Pos, "", "vip: %s is on no network of balancer %s", vip.Value.Addr, r.balancer.Name)
	return nil
}

// backends6 reports whether backends are reached over IPv6: only a tunnel may be
// of another family than the VIP.
func (s *service) backends6() bool {
	if s.Forward == lb.Tunnel {
		return s.outer6
	}
	return s.six
}

func (n *node) on(net *network) bool {
	for _, o := range n.nets {
		if o == net {
			return true
		}
	}
	return false
}

func (n *network) subnet(six bool) netip.Prefix {
	if six {
		return n.Subnet6
	}
	return n.Subnet
}

// checkOf finds or makes the service's check.
func (r *resolver) checkOf(s *service) {
	typed := s.spec.Check
	switch {
	case typed.Inline != nil:
		if _, taken := r.known[s.Name]; taken {
			r.fail(s.at, "", "the check within service %s is named like it, and so is one of checks: want another name for one of them", s.Name)
		}
		s.Check = s.Name
		r.known[s.Name] = r.check(s.Name, *typed.Inline)
	case typed.Name.Value == noCheck:
	case typed.Name.IsSet():
		s.Check = string(typed.Name.Value)
		if _, ok := r.known[s.Check]; !ok {
			r.fail(typed.Name.Pos, meantCheck(s.Check, slices.Sorted(maps.Keys(r.known))), "unknown check %q", s.Check)
		}
	default:
		s.Check = defaultCheck
	}
}

// wantedBackends finds the nodes behind a service: those it names, or every server.
func (r *resolver) wantedBackends(s *service) {
	if !s.spec.Backends.IsSet() {
		for _, n := range r.nodes {
			if n.Role == RoleServer {
				s.want = append(s.want, wanted{n, filled(BackendSpec{})})
			}
		}
		if len(s.want) == 0 {
			r.fail(s.at, "", "service %s has no backend: the lab has no server", s.Name)
		}
	}
	for _, b := range s.spec.Backends.Items {
		n, ok := find(r, "node", b.Node, r.named)
		if ok && n.Role != RoleServer {
			r.fail(b.Node.Pos, "", "backends: %s is a %s: want a server", n.Name, n.Role)
		} else if ok {
			s.want = append(s.want, wanted{n, filled(b)})
		}
	}
}
