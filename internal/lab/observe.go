package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"lbctl/internal/netns"
	"lbctl/internal/scenario"
)

// observed is what the kernel has of a lab.
type observed struct {
	nodes    map[string]*nodeState // and the hub: those whose namespace is alive and the registry's
	defaults map[string]string     // what a fresh namespace has for the sysctls asked for
}

// nodeState is what the kernel has of one node.
type nodeState struct {
	space   *space
	links   map[string]linkState
	addrs   map[string][]netip.Prefix // by link
	routes  map[routeKey]netip.Addr   // to the next hop; not valid: local
	sysctls map[string]string         // those asked for that exist
	servers map[string][]int          // command line without the binary -> pids
}

// linkState is what the kernel has of one interface.
type linkState struct {
	kind       string // "veth", "bridge", …
	index      int
	peer       int // index of a veth's other end, in that end's namespace
	master     int // index of the bridge that this is a port of
	mac        string
	mtu        int
	up         bool
	txsum, gro bool
}

// space is an open namespace with the sockets to work on it from outside.
type space struct {
	ns   *netns.Handle
	nl   *netlink.Handle
	sock int // for ioctls
}

func openSpace(ns *netns.Handle) (*space, error) {
	s := &space{ns: ns, sock: -1}
	err := ns.Do(func() (err error) {
		if s.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return err
		}
		s.sock, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		s.close()
		return nil, fmt.Errorf("open sockets in namespace: %w", err)
	}
	return s, nil
}

func (s *space) close() {
	if s.nl != nil {
		s.nl.Close()
	}
	if s.sock >= 0 {
		_ = unix.Close(s.sock)
	}
	_ = s.ns.Close()
}

func (o observed) close() {
	for _, state := range o.nodes {
		state.space.close()
	}
}

// observe looks at every namespace of the registry. A namespace that is gone
// is left out; a foreign one in its place is an error.
func observe(dir folder, reg *registry, sys procSys, keys map[string][]string) (observed, error) {
	states := make([]*nodeState, len(reg.Namespaces))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, entry := range reg.Namespaces {
		group.Go(func() error {
			h, err := openOwn(dir, entry)
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, netns.ErrNotNamespace) {
				return nil
			}
			if err != nil {
				return err
			}
			states[i], err = observeNode(h, sys, keys[entry.Node])
			return err
		})
	}
	err := group.Wait()
	seen := observed{nodes: map[string]*nodeState{}}
	for i, state := range states {
		if state != nil {
			seen.nodes[reg.Namespaces[i].Node] = state
		}
	}
	if err == nil {
		err = observeServers(seen)
	}
	if err == nil && len(reg.Topologies) > 0 {
		seen.defaults, err = observeDefaults(sys, keys)
	}
	if err != nil {
		seen.close()
		return observed{}, fmt.Errorf("observe lab %s: %w", reg.Lab, err)
	}
	return seen, nil
}

// observeNode owns h from here on.
func observeNode(h *netns.Handle, sys procSys, keys []string) (*nodeState, error) {
	s, err := openSpace(h)
	if err != nil {
		return nil, err
	}
	state := &nodeState{space: s, sysctls: map[string]string{}, servers: map[string][]int{}}
	err = errors.Join(state.observeLinks(), state.observeAddrs(), state.observeRoutes())
	if err == nil {
		err = h.Do(func() error {
			for _, key := range keys {
				if value, ok := sys.read(key); ok {
					state.sysctls[key] = value
				}
			}
			return nil
		})
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return state, nil
}

func (n *nodeState) observeLinks() error {
	links, err := dump(n.space.nl.LinkList)
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	n.links = make(map[string]linkState, len(links))
	for _, link := range links {
		attrs := link.Attrs()
		state := linkState{
			kind: link.Type(), index: attrs.Index, peer: attrs.ParentIndex, master: attrs.MasterIndex,
			mac: attrs.HardwareAddr.String(), mtu: attrs.MTU, up: attrs.RawFlags&unix.IFF_UP != 0,
		}
		if state.kind == "veth" {
			if state.txsum, err = offloadOn(n.space.sock, attrs.Name, txChecksum); err != nil {
				return err
			}
			if state.gro, err = offloadOn(n.space.sock, attrs.Name, gro); err != nil {
				return err
			}
		}
		n.links[attrs.Name] = state
	}
	return nil
}

func (n *nodeState) observeAddrs() error {
	names := map[int]string{}
	for name, link := range n.links {
		names[link.index] = name
	}
	addrs, err := dump(func() ([]netlink.Addr, error) { return n.space.nl.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	n.addrs = map[string][]netip.Prefix{}
	for _, addr := range addrs {
		if prefix, ok := prefixOf(addr.IPNet); ok {
			name := names[addr.LinkIndex]
			n.addrs[name] = append(n.addrs[name], prefix)
		}
	}
	return nil
}

// routeKey is what a node has one route for.
type routeKey struct {
	dst  netip.Prefix
	from netip.Addr // not valid: any
}

// observeRoutes notes the routes that have a next hop, of the main table and of
// those that rules for a source lead to, and the local ones that somebody added.
func (n *nodeState) observeRoutes() error {
	n.routes = map[routeKey]netip.Addr{}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		for _, table := range []int{unix.RT_TABLE_LOCAL, unix.RT_TABLE_MAIN} {
			if err := n.observeTable(family, table, netip.Addr{}); err != nil {
				return err
			}
		}
		rules, err := dump(func() ([]netlink.Rule, error) { return n.space.nl.RuleList(family) })
		if err != nil {
			return fmt.Errorf("list rules: %w", err)
		}
		for _, rule := range rules {
			from, ok := prefixOf(rule.Src)
			if !ok || rule.Table != tableOf(from.Addr()) {
				continue
			}
			if err := n.observeTable(family, rule.Table, from.Addr()); err != nil {
				return err
			}
		}
	}
	return nil
}

// observeTable notes the routes of one table, which are for packets from there.
func (n *nodeState) observeTable(family, table int, from netip.Addr) error {
	routes, err := dump(func() ([]netlink.Route, error) {
		return n.space.nl.RouteListFiltered(family, &netlink.Route{Table: table}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, route := range routes {
		via, ok := netip.AddrFromSlice(route.Gw)
		local := table == unix.RT_TABLE_LOCAL && route.Type == unix.RTN_LOCAL && route.Protocol == unix.RTPROT_STATIC
		if !ok && !local {
			continue
		}
		dst, ok := prefixOf(route.Dst)
		if !ok { // the default route has none
			dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
			if family == netlink.FAMILY_V6 {
				dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
			}
		}
		n.routes[routeKey{dst, from}] = via.Unmap()
	}
	return nil
}

// dump lists again when something changed while the kernel was listing.
func dump[T any](list func() ([]T, error)) (all []T, err error) {
	for range 10 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

// keysToObserve are the sysctls that a topology, now or earlier, speaks of.
func keysToObserve(topologies ...scenario.Topology) map[string][]string {
	keys := map[string][]string{}
	add := func(node string, sysctls []scenario.Sysctl) {
		for _, s := range sysctls {
			if !slices.Contains(keys[node], s.Key) {
				keys[node] = append(keys[node], s.Key)
			}
		}
	}
	add(hub, hubSysctls)
	for _, t := range topologies {
		for _, node := range t.Nodes {
			add(node.Name, impliedSysctls(node))
			add(node.Name, node.Sysctls)
		}
	}
	return keys
}
