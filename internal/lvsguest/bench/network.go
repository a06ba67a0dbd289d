package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Client, balancer and servers have a namespace each. Servers have a second
// address, whose replies are routed over the balancer, as nat needs it.
const (
	servers    = 2
	port       = 80
	bodySize   = 612 // nginx's welcome
	clientAddr = "198.18.0.1"
	balancer   = "198.18.0.2"
	alsoThere  = "198.18.1.2" // the balancer's other address, in the net of routedAddr
)

// balancers are the addresses that a tunnel's outer header can bear: with wires
// the balancer's end towards a server has only the second one.
var balancers = []string{balancer, alsoThere}

func serverAddr(i int) string { return fmt.Sprintf("198.18.0.%d", 10+i) }
func routedAddr(i int) string { return fmt.Sprintf("198.18.1.%d", 10+i) }

// vip is an arm's own, so that one arm's closed connections are not in the way of the next.
func vip(number int) string { return fmt.Sprintf("198.18.2.%d", 1+number) }

const (
	modules = "for m in veth bridge ipip ip_vs ip_vs_rr sch_ingress cls_bpf cls_u32 act_skbmod act_mirred; do modprobe $m; done"
	// A huge page is cleared by a million instructions, in whichever window a heap comes to need it.
	pages    = "echo never >/sys/kernel/mm/transparent_hugepage/enabled"
	offloads = "tx off rx off tso off gso off gro off"
	sysctls  = "net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv6.conf.all.disable_ipv6=1 " +
		"net.ipv4.ip_local_port_range='1024 65000' net.ipv4.tcp_max_tw_buckets=0" // servers keep no TIME_WAIT, or their number would tell
)

// sh runs a script of the guest's shell; what it prints comes with the error.
func sh(script string) error {
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", firstLine(script), err, out)
	}
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// buildBridge joins them by a bridge in a namespace of its own.
func buildBridge(arms int) error {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say(pages)
	say(modules)
	say("ip netns add hub; ip -n hub link add lan type bridge; ip -n hub link set lan up")
	node := func(name, addr string) {
		say("ip netns add %s; ip -n %[1]s link set lo up", name)
		say("ip -n hub link add %s type veth peer name eth0 netns %[1]s", name)
		say("ip -n hub link set %s master lan up; ip -n %[1]s link set eth0 up; ip -n %[1]s addr add %[2]s/24 dev eth0", name, addr)
		say("ip netns exec hub ethtool -K %s %s >/dev/null; ip netns exec %[1]s ethtool -K eth0 %[2]s >/dev/null", name, offloads)
		say("ip netns exec %s sysctl -qw %s", name, sysctls)
	}
	node("client", clientAddr)
	say("ip -n client route add 198.18.2.0/24 dev eth0; ip -n client route add 198.18.1.0/24 via %s", balancer)
	node("balancer", balancer)
	say("ip -n balancer addr add %s/24 dev eth0; ip netns exec balancer sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0", alsoThere)
	for i := range arms {
		say("ip -n balancer addr add %s/32 dev eth0", vip(i))
	}
	for i := range servers {
		name := fmt.Sprint("s", i)
		node(name, serverAddr(i))
		say("ip netns exec %s sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2", name)
		say("ip -n %s addr add %s/24 dev eth0", name, routedAddr(i))
		say("ip -n %s route add %s via %s dev eth0 table 100; ip -n %[1]s rule add from %[4]s lookup 100", name, clientAddr, alsoThere, routedAddr(i))
		serve(say, name, arms)
	}
	return sh(b.String())
}

// startServers returns once they answer; they end with ctx.
func startServers(ctx context.Context, self string) error {
	for i := range servers {
		cmd := exec.CommandContext(ctx, "ip", "netns", "exec", fmt.Sprint("s", i), self, "server", fmt.Sprint("s", i))
		cmd.Env, cmd.Stderr = append(os.Environ(), noCollections...), os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
	}
	for i := range servers {
		for _, addr := range []string{serverAddr(i), routedAddr(i)} {
			if err := answers(ctx, addr); err != nil {
				return err
			}
		}
	}
	return nil
}

func answers(ctx context.Context, addr string) error {
	var err error
	for range 50 {
		if err = sh("ip netns exec client curl -sf -m 2 -o /dev/null http://" + addr + "/"); err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func target(addr string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(addr), port) }

// readOffloads returns the balancer's own, as they are while an arm is measured.
func readOffloads() (string, error) {
	out, err := exec.Command("ip", "netns", "exec", "balancer", "ethtool", "-k", "eth0").Output()
	if err != nil {
		return "", fmt.Errorf("read offloads: %w", err)
	}
	var words []string
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "rx-checksumming", "tx-checksumming", "tcp-segmentation-offload", "generic-segmentation-offload", "generic-receive-offload":
			words = append(words, name+" "+strings.Fields(value)[0])
		}
	}
	return strings.Join(words, ", "), nil
}
