package cli

import (
	"fmt"
	"path/filepath"
	"slices"

	"lbctl/internal/lab"
	"lbctl/internal/scenario"
	"lbctl/l4"
)

// decapFolder is where a node's end of tunnels is pinned, in the lab's BPF file
// system, so that it goes with the lab. Balancers' planes are beside it by their
// names, which begin with a letter.
func decapFolder(l *lab.Lab, node string) string { return l.Path("bpf", "_decap-"+node) }

// endTunnels makes servers take packets out of tunnels, before any comes; with
// keep also out of those that the balancer may still use.
func (b *builder) endTunnels(l *lab.Lab, keep bool) error {
	for _, n := range b.scenario.Topology.Nodes {
		if len(n.Decap.Ends) == 0 {
			continue
		}
		if err := endTunnelsOf(l, n, keep); err != nil {
			return fmt.Errorf("end the tunnels to %s: %w", n.Name, err)
		}
	}
	return nil
}

func endTunnelsOf(l *lab.Lab, n scenario.Node, keep bool) error {
	ns, err := l.Node(n.Name)
	if err != nil {
		return err
	}
	defer ns.Close()
	options := l4.DecapOptions{NetNS: ns, PinDir: decapFolder(l, n.Name), Keep: keep}
	for _, link := range n.Links {
		options.Interfaces = append(options.Interfaces, link.Name)
	}
	return l4.AttachDecap(options, n.Decap)
}

// removeEnds lets go of what no tunnel leads to any more, once no packet does.
func (b *builder) removeEnds(l *lab.Lab) error {
	if err := b.endTunnels(l, false); err != nil {
		return err
	}
	var wanted []string
	for _, n := range b.scenario.Topology.Nodes {
		if len(n.Decap.Ends) > 0 {
			wanted = append(wanted, decapFolder(l, n.Name))
		}
	}
	folders, err := filepath.Glob(decapFolder(l, "*"))
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if slices.Contains(wanted, folder) {
			continue
		}
		if err := l4.RemoveDecap(folder); err != nil {
			return err
		}
	}
	return nil
}
