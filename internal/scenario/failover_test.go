package scenario

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"lbctl/internal/lb"
)

const pair = `
name: x
ipv6: true
balancers: 2
servers: 2
services:
  dr: {plane: l4}
  six: {plane: l4, ipv6: true}
  nat: {plane: l4, forward: nat}
  nat6: {plane: l4, forward: nat, ipv6: true}
  again: {plane: l4, forward: nat, proto: udp, port: 53}
`

// Neither balancer's link has a VIP: it floats, and so does what replies under
// nat go to, one address per network and family.
func TestOfTwoBalancersWhateverTheActiveOneHoldsFloats(t *testing.T) {
	s := resolve(t, pair)
	checkInvariants(t, s)
	if got := links(s); got != "c1 lan:198.18.1.1/20,2001:2::101/64 | lb1 lan:198.18.2.1/20,2001:2::201/64 | lb2 lan:198.18.2.2/20,2001:2::202/64 | "+
		"s1 lan:198.18.4.1/20,2001:2::401/64,198.18.12.1/32,2001:2::c01/128 | s2 lan:198.18.4.2/20,2001:2::402/64,198.18.12.2/32,2001:2::c02/128" {
		t.Errorf("links %s", got)
	}
	want := "[{eth0 198.18.3.1} {eth0 198.18.3.2} {eth0 198.18.3.3} {eth0 2001:2::301} {eth0 2001:2::302} {eth0 198.18.2.3} {eth0 2001:2::203}]"
	if got := fmt.Sprint(s.Topology.Floating); got != want {
		t.Errorf("floating %s, want %s", got, want)
	}
	want = "[{0.0.0.0/0 198.18.2.3 198.18.12.1} {::/0 2001:2::203 2001:2::c01}]"
	if got := fmt.Sprint(nodeOf(t, s, "s1").Routes); got != want {
		t.Errorf("routes of s1 %s, want %s", got, want)
	}
	for _, lb := range []string{"lb1", "lb2"} {
		if !slices.Contains(nodeOf(t, s, lb).Sysctls, Sysctl{"net.ipv4.ip_nonlocal_bind", "1"}) {
			t.Errorf("%s cannot listen at a VIP before it has it", lb)
		}
	}
	if (s.Failover != Failover{TakeoverManual, time.Second, SyncEstablished, 100 * time.Millisecond, 10 * time.Second}) {
		t.Errorf("failover %+v", s.Failover)
	}
}

func TestTwoDeclaredBalancersAreAPairToo(t *testing.T) {
	s := resolve(t, "name: x\nnodes:\n  lb7: {role: balancer}\n  spare: {role: balancer}\nfailover: {sync: off, takeover: auto}\nservices:\n  web: {plane: l4}\n")
	var names []string
	for _, n := range s.Topology.Nodes {
		if n.Role == RoleBalancer {
			names = append(names, n.Name)
		}
	}
	if fmt.Sprint(names) != "[lb7 spare]" || s.Failover.Sync != SyncOff || s.Failover.Takeover != TakeoverAuto {
		t.Errorf("balancers %v, failover %+v", names, s.Failover)
	}
}

func TestAnOnlyBalancerHasItsVIPsOnItsLink(t *testing.T) {
	s := resolve(t, "name: x\nbalancers: 1\nservices:\n  web: {plane: l4}\n")
	if len(s.Topology.Floating) != 0 || (s.Failover != Failover{}) || len(nodeOf(t, s, "lb1").Links[0].Addrs) != 2 {
		t.Errorf("floating %v, failover %+v, lb1 %+v", s.Topology.Floating, s.Failover, nodeOf(t, s, "lb1"))
	}
}

// The next hop towards a prefix floats as VIPs do, and servers at the ends of
// tunnels know both balancers, which take packets by one hook.
func TestEitherBalancerIsAskedForPrefixesAndSendsByTunnels(t *testing.T) {
	s := resolve(t, `
name: x
balancers: 2
nodes: {lb1: {hook: native}}
services:
  proxied: {plane: l4, prefix: 198.19.0.0/24, port: any, forward: tun}
`)
	var floating []string
	for _, f := range s.Topology.Floating {
		floating = append(floating, f.Addr.String())
	}
	for _, n := range s.Topology.Nodes {
		switch n.Role {
		case RoleClient:
			if got := n.Routes[0].Via.String(); len(n.Routes) != 1 || !slices.Contains(floating, got) {
				t.Errorf("%s: routes %v, where %v float", n.Name, n.Routes, floating)
			}
		case RoleBalancer:
			if n.Hook != lb.HookNative {
				t.Errorf("%s: hook %s", n.Name, n.Hook)
			}
		case RoleServer:
			if got := fmt.Sprint(n.Decap.Sources); got != "[198.18.2.1/32 198.18.2.2/32 198.18.2.240/28]" {
				t.Errorf("%s: takes from %s", n.Name, got)
			}
		}
	}
}
