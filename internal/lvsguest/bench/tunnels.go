package main

import (
	"errors"
	"fmt"
	"net/netip"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
	"lbctl/l4"
)

func decapPins(server int) string { return fmt.Sprintf("/sys/fs/bpf/lvsbench-s%d", server) }

// endTunnels has servers take packets out of tunnels as those of a lab do: with
// our program.
func endTunnels(vip string) error {
	var sources []netip.Prefix
	for _, addr := range balancers {
		sources = append(sources, netip.PrefixFrom(netip.MustParseAddr(addr), 32))
	}
	for i := range servers {
		ns, err := netns.Open(fmt.Sprintf("/run/netns/s%d", i))
		if err != nil {
			return err
		}
		err = l4.AttachDecap(l4.DecapOptions{NetNS: ns, Interfaces: []string{"eth0"}, PinDir: decapPins(i)}, lb.Decap{
			Ends:    []lb.TunnelEnd{{Addr: target(serverAddr(i)).Addr(), By: lb.Encapsulation{Kind: lb.IPIP}}},
			Sources: sources,
			VIPs:    []netip.Addr{netip.MustParseAddr(vip)},
		})
		if err = errors.Join(err, ns.Close()); err != nil {
			return err
		}
	}
	return nil
}

// leaveTunnels undoes that. Unless every packet was taken out, the arm has not
// measured what it should.
func leaveTunnels() error {
	var errs []error
	for i := range servers {
		verdicts, err := l4.DecapVerdicts(decapPins(i))
		errs = append(errs, err)
		for _, v := range verdicts {
			if (v.Packets > 0) != (v.Name == "UNWRAPPED") {
				errs = append(errs, fmt.Errorf("server s%d: %d packets from the tunnel met %s", i, v.Packets, v.Name))
			}
		}
		errs = append(errs, l4.RemoveDecap(decapPins(i)))
	}
	return errors.Join(errs...)
}
