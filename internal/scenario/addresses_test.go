package scenario

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestEachRoleHasItsPartOfASubnet(t *testing.T) {
	for _, c := range []struct {
		size int
		role Role
		n    int
		want string
	}{
		{1 << 12, RoleRouter, 1, "1"},
		{1 << 12, RoleClient, 1, "257"},
		{1 << 12, RoleClient, 254, "510"},
		{1 << 12, RoleClient, 255, "none"},
		{1 << 12, vipBlock, 2, "770"},
		{1 << 12, RoleServer, 1, "1025"},
		{1 << 12, RoleServer, 254, "1278"},
		{1 << 12, RoleServer, 255, "1281"}, // .4.255 and .5.0 are not used
		{1 << 12, RoleServer, 3048, "4094"},
		{1 << 12, RoleServer, 3049, "none"},
		{1 << 8, RoleRouter, 1, "1"},
		{1 << 8, RoleClient, 1, "17"},
		{1 << 8, RoleClient, 16, "none"},
		{1 << 8, RoleServer, 190, "254"},
		{1 << 8, RoleServer, 191, "none"},
		{1 << 6, RoleServer, 1, "17"},
		{1 << 16, RoleServer, 10000, "11102"},
	} {
		got := "none"
		if at, ok := nth(c.size, c.role, c.n); ok {
			got = fmt.Sprint(at)
		}
		if got != c.want {
			t.Errorf("%s %d of %d addresses: got %s, want %s", c.role, c.n, c.size, got, c.want)
		}
	}
}

func TestAddingANodeMovesNoneWithANumber(t *testing.T) {
	const rest = "nodes:\n  web: {role: server}\nservices:\n  a: {plane: l7}\n"
	before := resolve(t, "name: x\nservers: 3\n"+rest)
	after := resolve(t, "name: x\nservers: 12\nclients: 3\n"+rest)
	for _, name := range []string{"c1", "lb1", "s1", "s2", "s3"} {
		a, b := nodeOf(t, before, name).Links[0], nodeOf(t, after, name).Links[0]
		if a.Addrs[0] != b.Addrs[0] || a.MAC != b.MAC {
			t.Errorf("%s moves from %v to %v", name, a, b)
		}
	}
}

func TestNumbersInNamesAreAddressesAndTypedOnesWin(t *testing.T) {
	s := resolve(t, `
name: x
nodes:
  web: {role: server}
  s7: {role: server}
  s2: {networks: [{network: lan, address: 198.18.4.1, address6: 2001:2::fe}], role: server}
  s1: {role: server}
ipv6: true
services:
  a: {plane: l7, vip: 198.18.3.2}
  b: {plane: l7}
  c: {plane: l7}
  d: {plane: l7, vip: "[2001:2::309]:8080"}
  e: {plane: l7, ipv6: true}
`)
	checkInvariants(t, s)
	for name, want := range map[string]string{
		"s7": "198.18.4.7/20 2001:2::407/64", "s2": "198.18.4.1/20 2001:2::fe/64",
		"s1": "198.18.4.3/20 2001:2::401/64", "web": "198.18.4.2/20 2001:2::402/64",
	} {
		if got := strings.Join(strs(nodeOf(t, s, name).Links[0].Addrs), " "); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	var vips []string
	for _, svc := range s.Config.Services {
		vips = append(vips, svc.VIP.Addr.String())
	}
	if got := strings.Join(vips, " "); got != "198.18.3.2:80 198.18.3.1:80 198.18.3.3:80 [2001:2::309]:8080 [2001:2::301]:80" {
		t.Errorf("VIPs %s", got)
	}
}

func TestNetworksGetFreeSubnetsInOrder(t *testing.T) {
	s := resolve(t, "name: x\nipv6: true\nnetworks:\n  a: {}\n  b: {subnet: 198.18.32.0/19, ipv6: false}\n  c: {}\n  d: {subnet: 198.18.0.0/24, mtu: 9000}\nservices:\n  web: {plane: l7}\nnodes:\n  r1: {role: router}\n")
	var got []string
	for _, n := range s.Topology.Networks {
		got = append(got, fmt.Sprintf("%s %s %s %d", n.Name, n.Subnet, n.Subnet6, n.MTU))
	}
	want := "a 198.18.16.0/20 2001:2::/64 1500|b 198.18.32.0/19 invalid Prefix 1500|c 198.18.64.0/20 2001:2:0:2::/64 1500|d 198.18.0.0/24 2001:2:0:3::/64 9000"
	if strings.Join(got, "|") != want {
		t.Errorf("got %s", strings.Join(got, "|"))
	}
	checkInvariants(t, s)
}

func TestThreeThousandServersResolveInAMoment(t *testing.T) {
	var s *Scenario
	costs(t, 2*time.Second, func() {
		s = resolve(t, "name: x\nservers: 3000\nipv6: true\nservices:\n  a: {plane: l4}\n  b: {plane: l7}\n")
	})
	if got := len(s.Config.Services[1].Backends); got != 3000 {
		t.Errorf("%d backends", got)
	}
	checkInvariants(t, s)
}
