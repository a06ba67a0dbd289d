package scenario

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"lbctl/internal/lb"
)

// nat reaches servers by a second address, and packets from there go over the
// balancer; all else about the servers stays as it is.
func TestNATHasAddressesOfItsOwn(t *testing.T) {
	s := resolve(t, `
name: x
ipv6: true
servers: 2
nodes:
  other: {role: server}
services:
  dr: {plane: l4, backends: [s2]}
  nat: {plane: l4, forward: nat, backends: [s2, {node: other, port: 8080}]}
  again: {plane: l4, forward: nat, proto: udp, port: 53, backends: [s2]}
  six: {plane: l4, forward: nat, ipv6: true, backends: [s2]}
`)
	want := map[string]string{
		"dr":    "[198.18.4.2:80]",
		"nat":   "[198.18.12.2:80 198.18.12.1:8080]",
		"again": "[198.18.12.2:53]",
		"six":   "[[2001:2::c02]:80]",
	}
	for _, svc := range s.Config.Services {
		var addrs []netip.AddrPort
		for _, b := range svc.Backends {
			addrs = append(addrs, b.Addr)
		}
		if got := fmt.Sprint(addrs); got != want[svc.Name] {
			t.Errorf("backends of %s are at %s, want %s", svc.Name, got, want[svc.Name])
		}
	}
	for name, want := range map[string]string{
		"s1": "[198.18.4.1/20 2001:2::401/64] [] []",
		"s2": "[198.18.4.2/20 2001:2::402/64 198.18.12.2/32 2001:2::c02/128] [198.18.3.1/32] " +
			"[{0.0.0.0/0 198.18.2.1 198.18.12.2} {::/0 2001:2::201 2001:2::c02}]",
		"other": "[198.18.4.3/20 2001:2::403/64 198.18.12.1/32] [] [{0.0.0.0/0 198.18.2.1 198.18.12.1}]",
	} {
		i := slices.IndexFunc(s.Topology.Nodes, func(n Node) bool { return n.Name == name })
		n := s.Topology.Nodes[i]
		if got := fmt.Sprint(n.Links[0].Addrs, n.Loopback, n.Routes); got != want {
			t.Errorf("%s has addresses, VIPs and routes\n%s\nwant\n%s", name, got, want)
		}
	}
	for from, to := range map[string]string{
		"198.18.12.2:53":     "198.18.4.2:53",
		"[2001:2::c02]:80":   "[2001:2::402]:80",
		"198.18.4.2:80":      "198.18.4.2:80",
		"198.18.3.2:80":      "198.18.3.2:80",
		"[2001:2::dead]:443": "[2001:2::dead]:443",
	} {
		if got := s.Topology.Direct(lb.Service{}, lb.Backend{Addr: netip.MustParseAddrPort(from)}); got.String() != to {
			t.Errorf("a client asks %s directly at %s, want %s", from, got, to)
		}
	}
	if s.Config.Services[1].Forward != lb.NAT {
		t.Errorf("forward %s", s.Config.Services[1].Forward)
	}
}

// A server may have a number whose address nat would take.
func TestNATMakesWayForServers(t *testing.T) {
	s := resolve(t, `
name: x
networks: {lan: {subnet: 198.18.0.0/24}}
servers: 160
services:
  nat: {plane: l4, forward: nat, backends: [s1, s2]}
`)
	if got := fmt.Sprint(s.Config.Services[0].Backends[0].Addr, s.Config.Services[0].Backends[1].Addr); got != "198.18.0.225:80 198.18.0.226:80" {
		t.Errorf("nat reaches s1 and s2 at %s", got)
	}
}
