package l4

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"lbctl/internal/netns"
)

// Probe tries whether this machine can do what a Plane needs: load the program
// and attach it to a veth in native mode. It does so in a network namespace of
// its own, of which nothing stays.
func Probe() error {
	spec, err := loadXdp()
	if err != nil {
		return err
	}
	for _, name := range []string{xdpMapFlows, xdpMapFlows6, xdpMapTemplates} {
		spec.Maps[name].MaxEntries = 1024
	}
	var o xdpObjects
	if err := spec.LoadAndAssign(&o, nil); err != nil {
		return fmt.Errorf("load XDP program (needs root, or CAP_BPF and CAP_NET_ADMIN): %w", err)
	}
	defer o.Close()
	ns, err := netns.New()
	if err != nil {
		return fmt.Errorf("make network namespace: %w", err)
	}
	defer ns.Close()
	return ns.Do(func() error {
		veth := netlink.NewVeth(netlink.NewLinkAttrs())
		veth.Name, veth.PeerName = "a", "b"
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("make veth: %w", err)
		}
		a, err := netlink.LinkByName("a")
		if err != nil {
			return fmt.Errorf("find veth: %w", err)
		}
		l, err := link.AttachXDP(link.XDPOptions{Program: o.Balance, Interface: a.Attrs().Index, Flags: link.XDPDriverMode})
		if err != nil {
			return fmt.Errorf("attach XDP program to a veth in native mode (Linux 5.9 or later): %w", err)
		}
		return errors.Join(l.Close(), netlink.LinkDel(a))
	})
}
