package main

import (
	"errors"
	"fmt"
	"strings"

	"lbctl/internal/lb"
)

// setUp makes the balancer do what the arm is, and returns how to undo it. What
// our planes need is there already.
func (a arm) setUp(l links, vip string) (undo func() error, err error) {
	undo = func() error { return nil }
	switch {
	case a.Name == wire:
		undo, err = func() error { return sh("tc -n balancer qdisc del dev eth0 clsact") }, sh(wireScript(l, vip))
	case a.IPVS:
		undo, err = func() error { return sh("ip netns exec balancer ipvsadm -C") }, sh(a.ipvs(vip))
	}
	if err != nil || !a.Decap {
		return undo, err
	}
	before := undo
	undo = func() error { return errors.Join(before(), leaveTunnels()) }
	if err := endTunnels(vip); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}

// ipvs is the script that sets the kernel's up.
func (a arm) ipvs(vip string) string {
	method := map[lb.Forward]string{lb.DirectRouting: "-g", lb.NAT: "-m", lb.Tunnel: "-i"}[a.Forward]
	lines := []string{fmt.Sprintf("-A -t %s:%d -s rr", vip, port)}
	for i := range servers {
		lines = append(lines, fmt.Sprintf("-a -t %s:%d -r %s:%d %s", vip, port, a.backend(i), port, method))
	}
	return "ip netns exec balancer ipvsadm -R <<'E'\n" + strings.Join(lines, "\n") + "\nE"
}

// wireScript has packets for the VIP turned round by the kernel's own tc actions, to a
// server by a bit of the client's port: the least that passing the balancer can cost.
func wireScript(l links, vip string) string {
	var b strings.Builder
	b.WriteString("tc -n balancer qdisc add dev eth0 clsact\n")
	for i := range servers {
		fmt.Fprintf(&b, "theirs=$(ip netns exec s%d cat /sys/class/net/eth0/address) ours=$(ip netns exec balancer cat /sys/class/net/%s/address)\n", i, l.towards(i))
		fmt.Fprintf(&b, "tc -n balancer filter add dev eth0 ingress protocol ip u32 match ip dst %s/32 match ip sport %d 0x0002 "+
			"action skbmod set dmac $theirs smac $ours action mirred egress redirect dev %s\n", vip, i<<1, l.towards(i))
	}
	return b.String()
}
