package lab

import (
	"errors"
	"fmt"
	"math"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/internal/scenario"
)

func (b *builder) addAddr(node, link string, addr netip.Prefix) error {
	return b.withAddr("add", node, link, addr, func(l netlink.Link, a *netlink.Addr) error {
		if addr.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD // the lab's addresses are unique, and wanted at once
		}
		if addr.Addr().Is6() && addr.IsSingleIP() {
			// A VIP. As a preferred address it would be the source of the node's own
			// connections, and a server that has it, too, would answer itself.
			a.ValidLft, a.PreferedLft = math.MaxUint32, 0
		}
		return b.spaces[node].nl.AddrReplace(l, a)
	})
}

func (b *builder) deleteAddr(node, link string, addr netip.Prefix) error {
	return b.withAddr("delete", node, link, addr, func(l netlink.Link, a *netlink.Addr) error {
		err := b.spaces[node].nl.AddrDel(l, a)
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			return nil // it went with another
		}
		return err
	})
}

func (b *builder) withAddr(verb, node, link string, addr netip.Prefix, do func(netlink.Link, *netlink.Addr) error) error {
	l, err := b.spaces[node].nl.LinkByName(link)
	if err == nil {
		err = do(l, &netlink.Addr{IPNet: ipNet(addr)})
	}
	if err != nil {
		return fmt.Errorf("%s address %s on %s of %s: %w", verb, addr, link, node, err)
	}
	return nil
}

func (b *builder) setRoute(node string, r scenario.Route) error {
	if err := b.spaces[node].nl.RouteReplace(routeOf(r)); err != nil {
		return fmt.Errorf("set route %s via %s of %s: %w", r.Dst, r.Via, node, err)
	}
	return nil
}

func (b *builder) deleteRoute(node string, r scenario.Route) error {
	err := b.spaces[node].nl.RouteDel(routeOf(r))
	if err != nil && !errors.Is(err, unix.ESRCH) { // it went with its link
		return fmt.Errorf("delete route %s via %s of %s: %w", r.Dst, r.Via, node, err)
	}
	return nil
}

func routeOf(r scenario.Route) *netlink.Route {
	return &netlink.Route{Dst: ipNet(r.Dst), Gw: r.Via.AsSlice(), Protocol: unix.RTPROT_STATIC}
}
