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
	if balancers != 1 {
		t.Errorf("%d balancers", balancers)
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
	vips := map[lb.VIP]bool{}
	for _, svc := range s.Config.Services {
		if vips[svc.VIP] || owner[svc.VIP.Addr.Addr()] == "" {
			t.Errorf("service %s: VIP %s is twice or on no link", svc.Name, svc.VIP)
		}
		vips[svc.VIP] = true
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
			if !slices.ContainsFunc(n.Servers, func(s Server) bool { return s.Addr.Port() == b.Addr.Port() }) {
				t.Errorf("service %s: %s does not listen on %d", svc.Name, n.Name, b.Addr.Port())
			}
			onLo := slices.Contains(n.Loopback, netip.PrefixFrom(svc.VIP.Addr.Addr(), svc.VIP.Addr.Addr().BitLen()))
			if svc.Forward == lb.DirectRouting && !onLo {
				t.Errorf("service %s: %s has no VIP on lo", svc.Name, n.Name)
			}
			if b.ID != 0 || b.Health != lb.Unknown || b.Admin != lb.Enabled {
				t.Errorf("service %s: backend %+v has a state", svc.Name, b)
			}
		}
	}
}
