package lab

import (
	"context"
	"slices"

	"lbctl/internal/scenario"
)

// differ finds the steps from what is to what is wanted. It only looks at
// values; the steps it returns do the work later.
//
// What is too much is told from what a user made by hand inside a node by the
// earlier topologies: only what one of those had is taken away.
type differ struct {
	registry *registry
	earlier  []scenario.Topology
	want     scenario.Topology
	seen     observed
	halfWay  bool // what runs was started by an Up that did not come to its end
	steps    []step
}

func diff(reg *registry, want scenario.Topology, seen observed, halfWay bool) []step {
	d := &differ{registry: reg, earlier: reg.Topologies, want: want, seen: seen, halfWay: halfWay}
	d.namespaces()
	d.networks()
	for _, node := range want.Nodes {
		d.node(node)
	}
	return d.steps
}

func (d *differ) add(p phase, node string, c Change, do func(context.Context, *builder) error) {
	d.steps = append(d.steps, step{Change: c, phase: p, node: node, do: do})
}

// namespaces: the hub first, then the nodes. Making them is one batch, see
// builder.makeNamespaces.
func (d *differ) namespaces() {
	wanted := map[string]bool{hub: true}
	want := func(node string) {
		wanted[node] = true
		if d.seen.nodes[node] == nil {
			d.add(namespaces, node, Change{OpCreate, KindNamespace, node, ""}, nil)
		}
	}
	want(hub)
	for _, node := range d.want.Nodes {
		want(node.Name)
	}
	for _, entry := range d.registry.Namespaces {
		if wanted[entry.Node] {
			continue
		}
		var shown Change
		if d.seen.nodes[entry.Node] != nil {
			shown = Change{OpDelete, KindNamespace, entry.Node, ""}
		}
		ports := d.portsOf(entry.Node)
		d.add(remove, entry.Node, shown, func(_ context.Context, b *builder) error {
			return b.removeNode(entry, ports)
		})
	}
}

// portsOf lists the ports that the hub has for a node.
func (d *differ) portsOf(name string) []string {
	var ports []string
	for _, node := range d.earlierNodes(name) {
		for _, link := range node.Links {
			port := PortName(name, link.Name)
			if d.hubLink(port).index != 0 && !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
		}
	}
	return ports
}

func (d *differ) hubLink(name string) linkState {
	if state := d.seen.nodes[hub]; state != nil {
		return state.links[name]
	}
	return linkState{}
}

// earlierNodes are the forms that a node had in earlier topologies.
func (d *differ) earlierNodes(name string) []scenario.Node {
	var nodes []scenario.Node
	for _, t := range d.earlier {
		for _, node := range t.Nodes {
			if node.Name == name {
				nodes = append(nodes, node)
			}
		}
	}
	return nodes
}

// networks: the hub's own settings, then a bridge for each network.
func (d *differ) networks() {
	d.prepare(networks, hub, hubSysctls)
	wanted := map[string]bool{}
	for _, network := range d.want.Networks {
		bridge := bridgeOf(network)
		wanted[bridge.name] = true
		have := d.hubLink(bridge.name)
		switch {
		case have.index == 0:
			d.add(networks, hub, Change{OpCreate, KindNetwork, "", bridge.String()}, func(_ context.Context, b *builder) error {
				return b.makeBridge(bridge)
			})
		case have.mtu != bridge.mtu || !have.up:
			d.add(networks, hub, Change{OpChange, KindNetwork, "", bridge.String()}, func(_ context.Context, b *builder) error {
				return b.setBridge(bridge)
			})
		}
	}
	for _, t := range d.earlier {
		for _, network := range t.Networks {
			name := bridgeName(network.Name)
			if wanted[name] || d.hubLink(name).index == 0 {
				continue
			}
			wanted[name] = true // once
			d.add(remove, hub, Change{OpDelete, KindNetwork, "", network.Name}, func(_ context.Context, b *builder) error {
				return b.deleteLink(hub, name)
			})
		}
	}
}

// prepare is what a namespace needs before there are links: sysctls, as far
// as the kernel has them, and lo.
func (d *differ) prepare(p phase, node string, implied []scenario.Sysctl) {
	state := d.seen.nodes[node]
	if state == nil { // belongs to the making of the namespace
		d.add(p, node, Change{}, func(_ context.Context, b *builder) error {
			return b.prepare(node, implied)
		})
		return
	}
	for _, s := range implied {
		if value, ok := state.sysctls[s.Key]; ok && value != squeeze(s.Value) {
			d.setSysctl(p, OpChange, node, s)
		}
	}
	if !state.links["lo"].up {
		d.add(p, node, Change{OpChange, KindLink, node, "lo up"}, func(_ context.Context, b *builder) error {
			return b.setUp(node, "lo")
		})
	}
}

func (d *differ) setSysctl(p phase, op Op, node string, s scenario.Sysctl) {
	d.add(p, node, Change{op, KindSysctl, node, s.Key + " = " + s.Value}, func(_ context.Context, b *builder) error {
		return b.setSysctl(node, s)
	})
}
