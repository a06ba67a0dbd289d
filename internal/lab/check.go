package lab

import (
	"errors"
	"fmt"
	"net"

	"lbctl/internal/scenario"
)

// check refuses a topology that could not be built, or that would reach
// beyond its own namespaces and folder. Whether it makes sense was decided
// when the scenario was resolved.
func check(t scenario.Topology) error {
	errs := []error{checkName("lab", t.Lab)}
	bridges, ports := map[string]string{}, map[string]string{}
	unique := func(names map[string]string, name, owner string) {
		if other, taken := names[name]; taken {
			errs = append(errs, fmt.Errorf("check topology: %s and %s are both called %s", other, owner, name))
		}
		names[name] = owner
	}
	for _, network := range t.Networks {
		errs = append(errs, checkName("network", network.Name))
		unique(bridges, bridgeName(network.Name), "network "+network.Name)
	}
	nodes := map[string]string{}
	for _, node := range t.Nodes {
		errs = append(errs, checkName("node", node.Name))
		unique(nodes, node.Name, "node")
		for _, link := range node.Links {
			owner := fmt.Sprintf("link %s of %s", link.Name, node.Name)
			unique(ports, PortName(node.Name, link.Name), owner)
			if _, err := net.ParseMAC(link.MAC); err != nil {
				errs = append(errs, fmt.Errorf("check %s: %w", owner, err))
			}
			if nameRule.FindString(link.Name) == "" || len(link.Name) > maxInterfaceName {
				errs = append(errs, fmt.Errorf("check %s: not an interface name", owner))
			}
			if _, ok := bridges[bridgeName(link.Network)]; !ok {
				errs = append(errs, fmt.Errorf("check %s: no network %q", owner, link.Network))
			}
		}
		for _, s := range node.Sysctls {
			errs = append(errs, checkSysctl(s))
		}
	}
	for port, owner := range ports {
		if network, taken := bridges[port]; taken {
			errs = append(errs, fmt.Errorf("check topology: %s and %s are both called %s", network, owner, port))
		}
	}
	return errors.Join(errs...)
}
