package main

import (
	"fmt"
	"strings"
)

// links is how client, balancer and servers are joined.
type links string

const (
	// bridged is how a lab is: all on one bridge, the stand-in for a switch, whose
	// work is the host's.
	bridged links = "bridge"
	// wired has a veth between each two of them that talk: what a packet costs
	// on the way is the balancer's work and the wire's.
	wired links = "wires"
)

func (l links) build(arms int) error {
	if l == bridged {
		return buildBridge(arms)
	}
	return buildWires(arms)
}

// balancerPorts are the interfaces that the balancer forwards on, and the
// namespace and name of the other end of each.
func (l links) balancerPorts() (ports []string, peers [][2]string) {
	if l == bridged {
		return []string{"eth0"}, [][2]string{{"hub", "balancer"}}
	}
	ports, peers = []string{"eth0"}, [][2]string{{"client", "eth0"}}
	for i := range servers {
		ports, peers = append(ports, fmt.Sprint("s", i)), append(peers, [2]string{fmt.Sprint("s", i), "eth0"})
	}
	return ports, peers
}

// towards is the balancer's interface to server i.
func (l links) towards(i int) string {
	if l == bridged {
		return "eth0"
	}
	return fmt.Sprint("s", i)
}

// buildWires: every node's eth0 leads to the balancer, except the balancer's own,
// which leads to the client; its other interfaces and the client's bear the
// servers' names, and the servers' link to the client is called client.
func buildWires(arms int) error {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say(pages)
	say(modules)
	node := func(name string) {
		say("ip netns add %s; ip -n %[1]s link set lo up", name)
		say("ip netns exec %s sysctl -qw %s", name, sysctls)
	}
	wire := func(node, port, peer, peerPort string) {
		say("ip -n %s link add %s type veth peer name %s netns %s", node, port, peerPort, peer)
		for _, end := range [][2]string{{node, port}, {peer, peerPort}} {
			say("ip netns exec %s ethtool -K %s %s >/dev/null; ip -n %[1]s link set %[2]s up", end[0], end[1], offloads)
		}
	}
	node("client")
	node("balancer")
	wire("client", "eth0", "balancer", "eth0")
	say("ip -n client addr add %s/32 dev lo", clientAddr)
	say("ip -n balancer addr add %s/32 dev eth0; ip -n balancer route add %s dev eth0", balancer, clientAddr)
	say("ip -n client route add %s dev eth0 src %s", balancer, clientAddr)
	say("ip -n client route add 198.18.2.0/24 dev eth0 src %s; ip -n client route add 198.18.1.0/24 via %s src %[1]s", clientAddr, balancer)
	say("ip netns exec balancer sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0")
	for i := range arms {
		say("ip -n balancer addr add %s/32 dev eth0", vip(i))
	}
	for i := range servers {
		name := fmt.Sprint("s", i)
		node(name)
		say("ip netns exec %s sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2", name)
		wire("client", name, name, "client")
		wire("balancer", name, name, "eth0")
		say("ip -n client route add %s dev %s src %s", serverAddr(i), name, clientAddr)
		say("ip -n %s addr add %s/32 dev client; ip -n %[1]s addr add %[2]s/32 dev eth0; ip -n %[1]s route add %[3]s dev client", name, serverAddr(i), clientAddr)
		say("ip -n balancer addr add %s/32 dev %s; ip -n balancer route add %[3]s dev %[2]s; ip -n balancer route add %[4]s dev %[2]s", alsoThere, name, serverAddr(i), routedAddr(i))
		say("ip -n %s addr add %s/32 dev eth0; ip -n %[1]s rule add from %[2]s lookup 100", name, routedAddr(i))
		say("ip -n %s route add %s dev eth0; ip -n %[1]s route add %[3]s via %[2]s dev eth0 table 100", name, alsoThere, clientAddr)
		serve(say, name, arms)
	}
	return sh(b.String())
}

// serve has a server take what is for the VIPs, in a tunnel or not.
func serve(say func(string, ...any), name string, arms int) {
	say("ip -n %s link set tunl0 up; ip netns exec %[1]s sysctl -qw net.ipv4.conf.tunl0.rp_filter=0", name)
	for n := range arms {
		say("ip -n %s addr add %s/32 dev lo", name, vip(n))
	}
}
