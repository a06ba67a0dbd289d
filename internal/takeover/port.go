package takeover

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/internal/netns"
)

// Cut takes the ports of a host in the switch down, here the hub: from then on
// the host hears and says nothing, and cannot be told anything either.
func Cut(hub *netns.Handle, ports []string) error {
	return eachPort(hub, ports, func(nl *netlink.Handle, l netlink.Link) error { return nl.LinkSetDown(l) })
}

// Connected reports whether all ports of a host, and the host's own ends of
// these links, are up.
func Connected(hub *netns.Handle, ports []string) (bool, error) {
	connected := true
	err := eachPort(hub, ports, func(_ *netlink.Handle, l netlink.Link) error {
		connected = connected && l.Attrs().RawFlags&unix.IFF_UP != 0 && l.Attrs().RawFlags&unix.IFF_RUNNING != 0
		return nil
	})
	return connected, err
}

func eachPort(hub *netns.Handle, ports []string, do func(*netlink.Handle, netlink.Link) error) error {
	nl, err := hub.Netlink()
	if err != nil {
		return err
	}
	defer nl.Close()
	var errs []error
	for _, port := range ports {
		l, err := nl.LinkByName(port)
		if err == nil {
			err = do(nl, l)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("port %s: %w", port, err))
		}
	}
	return errors.Join(errs...)
}
