package scenario

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/internal/lb"
)

// byValue compares what holds addresses.
func byValue() cmp.Option {
	return cmp.Options{
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	}
}

// checkInvariants checks what holds for every Scenario.
func checkInvariants(t testing.TB, s *Scenario) {
	t.Helper()
	subnets := map[string]Network{}
	for _, n := range s.Topology.Networks {
		if !range4.Overlaps(n.Subnet) || n.Subnet6.IsValid() && !range6.Overlaps(n.Subnet6) || n.MTU == 0 {
			t.Errorf("network %+v", n)
		}
		subnets[n.Name] = n
	}
	owner, macs, balancers := map[netip.Addr]string{}, map[string]string{}, 0
	for _, n := range s.Topology.Nodes {
		if n.Role == RoleBalancer {
			balancers++
		}
		for _, l := range n.Links {
			if other := macs[l.MAC]; other != "" {
				t.Errorf("%s and %s share MAC %s", n.Name, other, l.MAC)
			}
			macs[l.MAC] = n.Name
			for _, a := range l.Addrs {
				if other := owner[a.Addr()]; other != "" {
					t.Errorf("%s and %s share address %s", n.Name, other, a)
				}
				owner[a.Addr()] = n.Name
				net := subnets[l.Network]
				if !net.Subnet.Contains(a.Addr()) && !net.Subnet6.Contains(a.Addr()) {
					t.Errorf("%s of %s is not on network %+v", a, n.Name, net)
				}
			}
		}
		keys := map[string]bool{}
		for _, c := range n.Sysctls {
			if keys[c.Key] || !strings.HasPrefix(c.Key, "net.") {
				t.Errorf("%s: sysctl %s is twice or outside of net", n.Name, c.Key)
			}
			keys[c.Key] = true
		}
	}
	if balancers != 1 && (balancers != 2 || s.Failover == Failover{}) {
		t.Errorf("%d balancers, failover %+v", balancers, s.Failover)
	}
	for _, f := range s.Topology.Floating {
		if other := owner[f.Addr]; other != "" || balancers != 2 {
			t.Errorf("floating address %s is %q's, of %d balancers", f.Addr, other, balancers)
		}
		owner[f.Addr] = "the active balancer"
	}
	for _, n := range s.Topology.Nodes {
		for _, route := range n.Routes {
			via := owner[route.Via]
			if via == "" || via == n.Name {
				t.Errorf("%s: next hop %s is %q's", n.Name, route.Via, via)
			}
		}
	}
	checkServices(t, s, owner)
}

func checkServices(t testing.TB, s *Scenario, owner map[netip.Addr]string) {
	t.Helper()
	for _, clash := range lb.Clashes(s.Config.Services) {
		t.Errorf("service %s: %s", clash.Service, clash)
	}
	for _, svc := range s.Config.Services {
		for _, m := range svc.Matches() {
			if m.Prefix.IsSingleIP() && owner[m.Prefix.Addr()] == "" && !routed(s, m.Prefix) {
				t.Errorf("service %s: %s is on no link and nobody has a route to it", svc.Name, m)
			}
			if m.Prefix.Addr().Is6() != svc.Six() || m.Prefix != m.Prefix.Masked() {
				t.Errorf("service %s: %s is of another family or not cut to its length", svc.Name, m)
			}
		}
		if svc.Check != "" && !slices.ContainsFunc(s.Config.Checks, func(c lb.Check) bool { return c.Name == svc.Check }) {
			t.Errorf("service %s: no check %s", svc.Name, svc.Check)
		}
		for _, b := range svc.Backends {
			name := owner[b.Addr.Addr()]
			if name == "" {
				t.Fatalf("service %s: backend %s has no node", svc.Name, b.Addr)
			}
			i := slices.IndexFunc(s.Topology.Nodes, func(n Node) bool { return n.Name == name })
			n := s.Topology.Nodes[i]
			port := b.Addr.Port()
			if port == 0 {
				port = svc.Target().Port()
			}
			if !slices.ContainsFunc(n.Servers, func(s Server) bool { return s.Addr.Port() == port }) {
				t.Errorf("service %s: %s does not listen on %d", svc.Name, n.Name, port)
			}
			for _, m := range svc.Matches() {
				own := slices.Contains(n.Loopback, m.Prefix) || slices.Contains(n.Local, m.Prefix)
				if (svc.Forward == lb.DirectRouting || svc.Forward == lb.Tunnel) && !own {
					t.Errorf("service %s: %s does not take %s for its own", svc.Name, n.Name, m)
				}
			}
			if b.ID != 0 || b.Health != lb.Unknown || b.Admin != lb.Enabled {
				t.Errorf("service %s: backend %+v has a state", svc.Name, b)
			}
		}
	}
}

// routed reports whether somebody has a route to a prefix of a service.
func routed(s *Scenario, p netip.Prefix) bool {
	return slices.ContainsFunc(s.Topology.Nodes, func(n Node) bool {
		return slices.ContainsFunc(n.Routes, func(r Route) bool { return r.Dst == p || r.Dst.Bits() == 0 })
	})
}
