package lab

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"net/netip"
	"slices"

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
			// A VIP, or what nat reaches a server by. As a preferred address it would be the source of the node's own
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
	err := b.spaces[node].nl.RouteReplace(routeOf(r))
	if err == nil && r.From.IsValid() {
		err = b.spaces[node].nl.RuleAdd(ruleOf(r))
		if errors.Is(err, unix.EEXIST) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("set route %s of %s: %w", routeText(r), node, err)
	}
	return nil
}

func (b *builder) deleteRoute(node string, r scenario.Route) error {
	var errs []error
	if r.From.IsValid() {
		if err := b.spaces[node].nl.RuleDel(ruleOf(r)); !errors.Is(err, unix.ENOENT) {
			errs = append(errs, err)
		}
	}
	if err := b.spaces[node].nl.RouteDel(routeOf(r)); !errors.Is(err, unix.ESRCH) { // it went with its link
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("delete route %s of %s: %w", routeText(r), node, err)
	}
	return nil
}

func routeText(r scenario.Route) string {
	if !r.Via.IsValid() {
		return "local " + r.Dst.String()
	}
	text := r.Dst.String() + " via " + r.Via.String()
	if r.From.IsValid() {
		text += " from " + r.From.String()
	}
	return text
}

// ruleOf is the rule that leads packets of one source to their table.
func ruleOf(r scenario.Route) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Src, rule.Table, rule.Priority = ipNet(netip.PrefixFrom(r.From, r.From.BitLen())), tableOf(r.From), sourcePriority
	rule.Family = unix.AF_INET
	if r.From.Is6() {
		rule.Family = unix.AF_INET6
	}
	return rule
}

// sourcePriority puts rules for a source before that for the main table.
const sourcePriority = 1000

// tableOf is the number of the routing table for packets of one source: above
// those that have a name, and the same after a rebuild.
func tableOf(from netip.Addr) int {
	hash := fnv.New32a()
	hash.Write(from.AsSlice())
	return int(hash.Sum32()>>1 | 1<<30)
}

// routesOf are a node's routes. One without a next hop makes all of its
// destination the node's own (ip route add local PREFIX dev lo).
func routesOf(n scenario.Node) []scenario.Route {
	all := slices.Clone(n.Routes)
	for _, prefix := range n.Local {
		all = append(all, scenario.Route{Dst: prefix})
	}
	return all
}

// loopback is lo's index in every namespace (LOOPBACK_IFINDEX in the kernel).
const loopback = 1

func routeOf(r scenario.Route) *netlink.Route {
	if !r.Via.IsValid() {
		return &netlink.Route{
			Dst: ipNet(r.Dst), LinkIndex: loopback, Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL,
			Scope: netlink.SCOPE_HOST, Protocol: unix.RTPROT_STATIC,
		}
	}
	table := unix.RT_TABLE_MAIN
	if r.From.IsValid() {
		table = tableOf(r.From)
	}
	return &netlink.Route{Dst: ipNet(r.Dst), Gw: r.Via.AsSlice(), Table: table, Protocol: unix.RTPROT_STATIC}
}
