package scenario

import (
	"fmt"
	"slices"
	"testing"

	"lbctl/internal/lb"
)

func serviceOf(t *testing.T, s *Scenario, name string) lb.Service {
	t.Helper()
	i := slices.IndexFunc(s.Config.Services, func(v lb.Service) bool { return v.Name == name })
	if i < 0 {
		t.Fatalf("there is no service %s", name)
	}
	return s.Config.Services[i]
}

// What is typed of ports, prefixes and groups, and what that makes of a
// service, of its backends and of the port that is probed.
func TestServicesMayHaveManyAddressesAndPorts(t *testing.T) {
	s := resolve(t, `
name: x
ipv6: true
servers: 1
services:
  any: {plane: l4, vip: 198.18.3.11, port: any}
  range: {plane: l4, vip: 198.18.3.12, port: 8000-8003}
  wide: {plane: l4, vip: 198.18.3.13, port: 9000-9999, check: {kind: tcp}}
  group: {plane: l4, vip: 198.18.3.14, also: [{port: 443}, "198.18.3.15:8080", {vip: 198.18.3.16}]}
  dns: {plane: l4, vip: 198.18.3.17, port: 53, proto: udp, also: [{proto: tcp}]}
  cache: {plane: l4, prefix: 198.18.100.0/24}
  caches: {plane: l4, prefix: 198.18.101.0/24, also: [{prefix: 198.18.102.0/24}]}
  six: {plane: l4, ipv6: true, prefix: "2001:2:0:64::/64", port: any}
  nat: {plane: l4, forward: nat, vip: 198.18.3.18, port: any, backends: [{node: s1, port: 8080}]}
  keep: {plane: l4, forward: nat, vip: 198.18.3.19, port: 8000-8003, check: {port: 81}}
`)
	for name, want := range map[string]string{
		"any":    "198.18.3.11:0/tcp [] 198.18.4.1:0 any 80",
		"range":  "none [198.18.3.12:8000-8003/tcp] 198.18.4.1:0 range 8000",
		"wide":   "none [198.18.3.13:9000-9999/tcp] 198.18.4.1:0 wide 9000",
		"group":  "198.18.3.14:80/tcp [198.18.3.14:443/tcp 198.18.3.15:8080/tcp 198.18.3.16:80/tcp] 198.18.4.1:0 group 80",
		"dns":    "198.18.3.17:53/udp [198.18.3.17:53/tcp] 198.18.4.1:53 default 0",
		"cache":  "none [198.18.100.0/24:80/tcp] 198.18.4.1:80 default 0",
		"caches": "none [198.18.101.0/24:80/tcp 198.18.102.0/24:80/tcp] 198.18.4.1:80 default 0",
		"six":    "none [[2001:2:0:64::/64]:any/tcp] [2001:2::401]:0 six 80",
		"nat":    "198.18.3.18:0/tcp [] 198.18.12.1:8080 default 0",
		"keep":   "none [198.18.3.19:8000-8003/tcp] 198.18.12.1:0 keep 81",
	} {
		svc := serviceOf(t, s, name)
		i := slices.IndexFunc(s.Config.Checks, func(c lb.Check) bool { return c.Name == svc.Check })
		got := fmt.Sprintf("%s %v %s %s %d", svc.VIP, svc.L4.Also, svc.Backends[0].Addr, svc.Check, s.Config.Checks[i].Port)
		if got != want {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
	}
	n := nodeOf(t, s, "s1")
	if got := fmt.Sprint(n.Local); got != "[198.18.100.0/24 198.18.101.0/24 198.18.102.0/24 2001:2:0:64::/64]" {
		t.Errorf("s1 takes %s for its own", got)
	}
	if !slices.Contains(n.Sysctls, Sysctl{"net.ipv6.ip_nonlocal_bind", "1"}) {
		t.Error("s1 may not answer datagrams from an address within an IPv6 prefix")
	}
	if got := fmt.Sprint(n.Loopback); got != "[198.18.3.11/32 198.18.3.12/32 198.18.3.13/32 198.18.3.14/32 198.18.3.15/32 198.18.3.16/32 198.18.3.17/32]" {
		t.Errorf("s1 has VIPs %s on lo", got)
	}
	var ports []uint16
	for _, server := range n.Servers {
		ports = append(ports, server.Addr.Port())
	}
	if got := fmt.Sprint(ports); got != "[53 80 81 443 8000 8001 8002 8003 8080 9000]" {
		t.Errorf("s1 listens on %s", got)
	}
	if got := fmt.Sprint(nodeOf(t, s, "c1").Routes); got != "[{198.18.100.0/24 198.18.2.1 invalid IP} {198.18.101.0/24 198.18.2.1 invalid IP} {198.18.102.0/24 198.18.2.1 invalid IP} {2001:2:0:64::/64 2001:2::201 invalid IP}]" {
		t.Errorf("c1 has routes %s", got)
	}
	if got := nodeOf(t, s, "lb1").Links[0].Addrs; !slices.Contains(strs(got), "198.18.3.16/32") || slices.Contains(strs(got), "198.18.100.0/24") {
		t.Errorf("lb1 answers for %v", got)
	}
}

// Behind a router, clients go on by their default route, and the router knows
// the balancer; what a node's own routes say goes before.
func TestPrefixesAreRoutedToTheBalancer(t *testing.T) {
	s := resolve(t, `
name: x
clients: 2
networks:
  front: {}
  back: {}
nodes:
  r1: {role: router}
  c2:
    role: client
    networks: [back]
    routes:
      - {to: 198.18.100.0/24, via: 198.18.16.1}
services:
  cache: {plane: l4, prefix: 198.18.100.0/24}
`)
	for name, want := range map[string]string{
		"c1": "[{0.0.0.0/0 198.18.0.1 invalid IP}]",
		"r1": "[{198.18.100.0/24 198.18.18.1 invalid IP}]",
		"c2": "[{0.0.0.0/0 198.18.16.1 invalid IP} {198.18.100.0/24 198.18.16.1 invalid IP}]",
		"s1": "[{0.0.0.0/0 198.18.16.1 invalid IP}]",
	} {
		if got := fmt.Sprint(nodeOf(t, s, name).Routes); got != want {
			t.Errorf("%s has routes %s, want %s", name, got, want)
		}
	}
}
