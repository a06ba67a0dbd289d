package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
	"lbctl/l4"
)

// setUp makes the balancer do what the arm is, and returns how to undo it.
func (a arm) setUp(ctx context.Context, l links, vip string) (undo func() error, err error) {
	switch {
	case a.Name == wire:
		return func() error { return sh("tc -n balancer qdisc del dev eth0 clsact") }, sh(wireScript(l, vip))
	case a.IPVS:
		return func() error { return sh("ip netns exec balancer ipvsadm -C") }, sh(a.ipvs(vip))
	case a.Forward != "":
		return a.plane(ctx, l, vip)
	}
	return func() error { return nil }, nil
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

// plane opens ours, anew, and gives it the same service.
func (a arm) plane(ctx context.Context, l links, vip string) (undo func() error, err error) {
	const pins = "/sys/fs/bpf/lvsbench"
	ns, err := netns.Open("/run/netns/balancer")
	if err != nil {
		return nil, err
	}
	ports, peers := l.balancerPorts()
	options := l4.Options{NetNS: ns, Hook: a.Hook, Interfaces: ports, PinDir: pins, MaxFlows: 1 << 16}
	closeAll := ns.Close
	for _, peer := range peers {
		far, err := netns.Open("/run/netns/" + peer[0])
		if err != nil {
			return nil, errors.Join(err, closeAll())
		}
		before := closeAll
		closeAll = func() error { return errors.Join(far.Close(), before()) }
		options.Peers = append(options.Peers, l4.Peer{NetNS: far, Interface: peer[1]})
	}
	p, err := l4.Open(options)
	if err != nil {
		return nil, errors.Join(err, closeAll())
	}
	undo = func() error { return errors.Join(p.Close(), os.RemoveAll(pins), closeAll()) }
	if err := p.Apply(ctx, lb.Snapshot{Revision: 1, Services: []lb.Service{a.service(vip)}}); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}

func (a arm) service(vip string) lb.Service {
	v := lb.Service{
		Name: "web", Plane: lb.L4, VIP: lb.VIP{Addr: target(vip), Proto: lb.TCP},
		Forward: a.Forward, Policy: lb.RoundRobin,
	}
	for i := range servers {
		v.Backends = append(v.Backends, lb.Backend{
			ID: lb.BackendID(i + 1), Name: fmt.Sprint("s", i), Addr: target(a.backend(i)), Weight: 1, Health: lb.Up,
		})
	}
	return v
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
