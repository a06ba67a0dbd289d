package lab

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"lbctl/internal/scenario"
)

// node compares one node: sysctls that precede links, links, sysctls,
// addresses, routes, servers.
func (d *differ) node(n scenario.Node) {
	implied := impliedSysctls(n)
	d.prepare(wires, n.Name, implied)
	state := d.seen.nodes[n.Name]
	if state == nil {
		state = &nodeState{}
	}
	made := d.links(n, state)
	d.sysctls(n, state, implied)
	d.addrs(n, state, made)
	d.routes(n, state)
	d.servers(n, state)
}

// links returns the names of those that will be made anew.
func (d *differ) links(n scenario.Node, state *nodeState) map[string]bool {
	made := map[string]bool{}
	for _, link := range n.Links {
		w := wireOf(d.want, n.Name, link)
		port, end := d.hubLink(w.port), state.links[w.link]
		if port.kind != "veth" || end.kind != "veth" || port.peer != end.index || end.peer != port.index {
			op := OpCreate
			if port.index != 0 || end.index != 0 {
				op = OpChange // a half is left over
			}
			made[w.link] = true
			d.add(wires, n.Name, Change{op, KindLink, n.Name, w.String()}, func(_ context.Context, b *builder) error {
				return b.makeWire(w)
			})
			continue
		}
		bridge := d.hubLink(w.bridge)
		right := bridge.index != 0 && port.master == bridge.index && port.mtu == w.mtu && end.mtu == w.mtu &&
			end.mac == w.mac && port.up && end.up && port.txsum == w.offloads && end.txsum == w.offloads && port.gro
		if !right {
			d.add(wires, n.Name, Change{OpChange, KindLink, n.Name, w.String()}, func(_ context.Context, b *builder) error {
				return b.setWire(w)
			})
		}
	}
	for _, earlier := range d.earlierNodes(n.Name) {
		for _, link := range earlier.Links {
			wanted := slices.ContainsFunc(n.Links, func(l scenario.Link) bool { return l.Name == link.Name })
			if wanted || made[link.Name] || state.links[link.Name].index == 0 {
				continue
			}
			made[link.Name] = true // once; its addresses go with it
			d.add(remove, n.Name, Change{OpDelete, KindLink, n.Name, link.Name}, func(_ context.Context, b *builder) error {
				return b.deleteLink(n.Name, link.Name)
			})
		}
	}
	return made
}

// sysctls: one that is no longer wanted goes back to what it would be in a
// fresh namespace.
func (d *differ) sysctls(n scenario.Node, state *nodeState, implied []scenario.Sysctl) {
	done := map[string]bool{}
	for _, s := range implied {
		done[s.Key] = true // see prepare
	}
	for _, s := range n.Sysctls {
		if done[s.Key] {
			continue
		}
		value, ok := state.sysctls[s.Key]
		done[s.Key] = true
		switch {
		case !ok:
			d.setSysctl(wires, OpCreate, n.Name, s)
		case value != squeeze(s.Value):
			d.setSysctl(wires, OpChange, n.Name, s)
		}
	}
	for _, earlier := range d.earlierNodes(n.Name) {
		for _, s := range earlier.Sysctls {
			value, ok := state.sysctls[s.Key]
			back, known := d.seen.defaults[s.Key]
			if done[s.Key] || !ok || !known {
				continue
			}
			done[s.Key] = true
			for _, i := range implied { // an interface starts with what its node implies
				if i.Key == defaultKey(s.Key) {
					back = i.Value
				}
			}
			if value != back {
				d.setSysctl(wires, OpDelete, n.Name, scenario.Sysctl{Key: s.Key, Value: back})
			}
		}
	}
}

// addrs compares the addresses of the links and of lo. A link in made starts
// with none.
func (d *differ) addrs(n scenario.Node, state *nodeState, made map[string]bool) {
	wanted := addrsOf(n)
	for _, earlier := range d.earlierNodes(n.Name) {
		for link, addrs := range d.withFloating(earlier) {
			for _, addr := range addrs {
				have := slices.Contains(state.addrs[link], addr) && !made[link]
				if !have || slices.Contains(wanted[link], addr) {
					continue
				}
				state.addrs[link] = slices.DeleteFunc(slices.Clone(state.addrs[link]), func(a netip.Prefix) bool { return a == addr })
				d.add(remove, n.Name, Change{OpDelete, KindAddress, n.Name, addr.String() + " on " + link}, func(_ context.Context, b *builder) error {
					return b.deleteAddr(n.Name, link, addr)
				})
			}
		}
	}
	for _, link := range append([]string{"lo"}, linkNames(n)...) {
		for _, addr := range wanted[link] {
			if slices.Contains(state.addrs[link], addr) && !made[link] {
				continue
			}
			d.add(wires, n.Name, Change{OpCreate, KindAddress, n.Name, addr.String() + " on " + link}, func(_ context.Context, b *builder) error {
				return b.addAddr(n.Name, link, addr)
			})
		}
	}
}

// withFloating are the addresses that a node may have had earlier. What floats
// between two balancers is the daemon's to move; once there is one, whatever it
// had is as any address.
func (d *differ) withFloating(earlier scenario.Node) map[string][]netip.Prefix {
	addrs := addrsOf(earlier)
	if earlier.Role != scenario.RoleBalancer || len(d.want.Floating) > 0 {
		return addrs
	}
	for _, t := range d.earlier {
		for _, f := range t.Floating {
			addrs[f.Link] = append(slices.Clip(addrs[f.Link]), netip.PrefixFrom(f.Addr, f.Addr.BitLen()))
		}
	}
	return addrs
}

func addrsOf(n scenario.Node) map[string][]netip.Prefix {
	addrs := map[string][]netip.Prefix{"lo": n.Loopback}
	for _, link := range n.Links {
		addrs[link.Name] = link.Addrs
	}
	return addrs
}

func linkNames(n scenario.Node) []string {
	var names []string
	for _, link := range n.Links {
		names = append(names, link.Name)
	}
	return names
}

func (d *differ) routes(n scenario.Node, state *nodeState) {
	wanted := map[routeKey]bool{}
	for _, route := range routesOf(n) {
		route.Dst = route.Dst.Masked()
		key := routeKey{route.Dst, route.From}
		wanted[key] = true
		via, ok := state.routes[key]
		if ok && via == route.Via {
			continue
		}
		op := OpCreate
		if ok {
			op = OpChange
		}
		d.add(wires, n.Name, Change{op, KindRoute, n.Name, routeText(route)}, func(_ context.Context, b *builder) error {
			return b.setRoute(n.Name, route)
		})
	}
	for _, earlier := range d.earlierNodes(n.Name) {
		for _, route := range routesOf(earlier) {
			route.Dst = route.Dst.Masked()
			key := routeKey{route.Dst, route.From}
			via, ok := state.routes[key]
			if !ok || wanted[key] || via != route.Via {
				continue
			}
			wanted[key] = true // once
			d.add(remove, n.Name, Change{OpDelete, KindRoute, n.Name, routeText(route)}, func(_ context.Context, b *builder) error {
				return b.deleteRoute(n.Name, route)
			})
		}
	}
}

// servers: one whose settings differ is stopped and started; to a reader that
// is one change.
func (d *differ) servers(n scenario.Node, state *nodeState) {
	wanted := serversOf(n)
	ours := map[string]string{} // key -> what a reader is told
	for _, earlier := range d.earlierNodes(n.Name) {
		for _, p := range serversOf(earlier) {
			ours[p.key()] = p.String()
		}
	}
	for _, p := range wanted {
		delete(ours, p.key())
	}
	var extra []string
	for key := range ours {
		if len(state.servers[key]) > 0 {
			extra = append(extra, key)
		}
	}
	slices.Sort(extra)
	restarts := 0
	for _, p := range wanted {
		pids := state.servers[p.key()]
		if len(pids) > 1 { // a killed Up started one that the next did not see yet
			d.stop(n.Name, Change{OpDelete, KindServer, n.Name, "second " + p.String()}, pids[1:], p.key())
		}
		if len(pids) > 0 {
			if d.halfWay {
				d.add(processes, n.Name, Change{}, func(ctx context.Context, b *builder) error {
					return b.adopt(ctx, n.Name, p, pids[0])
				})
			}
			continue
		}
		op := OpCreate
		if restarts < len(extra) {
			op = OpChange
			restarts++
		}
		d.add(processes, n.Name, Change{op, KindServer, n.Name, p.String()}, func(ctx context.Context, b *builder) error {
			return b.start(ctx, n.Name, p)
		})
	}
	for i, key := range extra {
		shown := Change{OpDelete, KindServer, n.Name, strings.TrimSpace(ours[key])}
		if i < restarts {
			shown = Change{}
		}
		d.stop(n.Name, shown, state.servers[key], key)
	}
}

func (d *differ) stop(node string, shown Change, pids []int, key string) {
	d.add(remove, node, shown, func(context.Context, *builder) error { return stop(pids, key) })
}
