package lab

import "lbctl/internal/scenario"

// hubSysctls keep the bridges silent and out of netfilter's way. They are set
// before there are links, and only where the kernel has them.
var hubSysctls = []scenario.Sysctl{
	{Key: "net.ipv6.conf.all.disable_ipv6", Value: "1"}, // sets default, too
	{Key: "net.bridge.bridge-nf-call-iptables", Value: "0"},
	{Key: "net.bridge.bridge-nf-call-ip6tables", Value: "0"},
	{Key: "net.bridge.bridge-nf-call-arptables", Value: "0"},
}

// impliedSysctls are those of a node before it gets links. A node without an
// IPv6 address has no IPv6: no solicitations, no multicast reports. One with
// it has usable addresses at once and only those of the topology. The node's
// own sysctls come first. All are set as far as the kernel has them, so that a
// kernel without IPv6 will do where none is wanted.
func impliedSysctls(n scenario.Node) []scenario.Sysctl {
	off := "1"
	for _, link := range n.Links {
		for _, addr := range link.Addrs {
			if addr.Addr().Is6() {
				off = "0"
			}
		}
	}
	for _, addr := range n.Loopback {
		if addr.Addr().Is6() {
			off = "0"
		}
	}
	implied := []scenario.Sysctl{
		{Key: "net.ipv6.conf.all.disable_ipv6", Value: off}, // sets default, too
		{Key: "net.ipv6.conf.default.accept_dad", Value: "0"},
		{Key: "net.ipv6.conf.default.accept_ra", Value: "0"},
		{Key: "net.ipv6.conf.default.router_solicitations", Value: "0"},
	}
	for _, own := range n.Sysctls { // which override
		for i := range implied {
			if implied[i].Key == own.Key {
				implied[i].Value = own.Value
			}
		}
	}
	return implied
}
