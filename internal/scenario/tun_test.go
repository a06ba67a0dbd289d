package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Under tun servers know their ends of tunnels, who may write there and for whom.
func TestTunnelsEndOnServers(t *testing.T) {
	s := resolve(t, `
name: x
ipv6: true
servers: 2
services:
  dr: {plane: l4, backends: [s1]}
  four: {plane: l4, forward: tun, backends: [s1, s2]}
  six: {plane: l4, forward: tun, ipv6: true, tunnel: gue, backends: [s2]}
  mixed: {plane: l4, forward: tun, tunnel: {kind: gue, port: 7000, ipv6: true}, backends: [s2]}
`)
	for name, want := range map[string]string{
		"s1": "{[{198.18.4.1 {ipip 0}}] [198.18.2.1/32 198.18.2.240/28] [198.18.3.2]} [198.18.3.1/32 198.18.3.2/32]",
		"s2": "{[{198.18.4.2 {ipip 0}} {2001:2::402 {gue 6080}} {2001:2::402 {gue 7000}}] " +
			"[198.18.2.1/32 198.18.2.240/28 2001:2::201/128 2001:2::2f0/124] [198.18.3.2 2001:2::301 198.18.3.3]} " +
			"[198.18.3.2/32 2001:2::301/128 198.18.3.3/32]",
		"lb1": "{[] [] []} []",
	} {
		n := s.Topology.Nodes[slices.IndexFunc(s.Topology.Nodes, func(n Node) bool { return n.Name == name })]
		if got := fmt.Sprint(n.Decap, n.Loopback); got != want {
			t.Errorf("%s has ends and VIPs\n%s\nwant\n%s", name, got, want)
		}
	}
	if got := fmt.Sprint(s.Topology.TunnelSources); got != "[198.18.2.240/28 2001:2::2f0/124]" {
		t.Errorf("outer sources %s", got)
	}
}

// A tunnel leads over routers, to networks that the balancer is not on.
func TestTunnelsLeadOverRouters(t *testing.T) {
	s := resolve(t, `
name: x
networks: {front: {}, back: {}}
nodes: {lb1: {role: balancer, networks: [front]}, r1: {role: router}}
services:
  far: {plane: l4, forward: tun, backends: [s1]}
`)
	if got := fmt.Sprint(s.Config.Services[0].Backends[0].Addr); got != "198.18.20.1:80" {
		t.Errorf("the backend is at %s", got)
	}
}

// There is no pool where somebody has one of its addresses, or where there is no room.
func TestOuterSourcesMakeWay(t *testing.T) {
	for text, want := range map[string]string{
		"": "[198.18.2.240/28]",
		"networks: {lan: {subnet: 198.18.0.0/24}}":                                                       "[]",
		"nodes: {s1: {networks: [{network: lan, address: 198.18.2.250}]}}":                               "[]",
		"networks: {a: {}, b: {}}\nnodes: {lb1: {role: balancer, networks: [a, b]}, r1: {role: router}}": "[]",
	} {
		s := resolve(t, "name: x\n"+text+"\nservices: {web: {plane: l4, forward: tun}}\n")
		if got := fmt.Sprint(s.Topology.TunnelSources); got != want {
			t.Errorf("%s: outer sources %s, want %s", text, got, want)
		}
	}
}

func TestWhatIsNoTunnel(t *testing.T) {
	for text, want := range map[string]string{
		"{plane: l4, tunnel: gue}":                                   "tunnel is for forward: tun",
		"{plane: l7, tunnel: gue}":                                   "tunnel is for forward: tun",
		"{plane: l4, forward: tun, tunnel: {port: 7}}":               "only gue has ports",
		"{plane: l4, forward: tun, tunnel: fou}":                     `"fou"`,
		"{plane: l4, forward: tun, tunnel: {ipv6: true}}":            "that has IPv6",
		"{plane: l4, forward: tun, backends: [{node: s1, port: 7}]}": "tun leaves packets as they are",
	} {
		spec, err := Parse("x.yaml", []byte("name: x\nservices: {web: "+text+"}\n"))
		if err == nil {
			_, err = spec.Resolve()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that says %q", text, err, want)
		}
	}
}
