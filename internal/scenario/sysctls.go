package scenario

import (
	"net/netip"
	"slices"
	"strings"
)

// sysctls gives each node its kernel parameters. Each is per namespace. A new
// namespace takes the host's IPv4 values, so what matters is set even where it
// is the kernel's default: a lab must behave alike on every host.
func (r *resolver) sysctls() {
	for _, n := range r.nodes {
		six := slices.ContainsFunc(n.nets, (*network).has6)
		set := func(key, value string) { n.Sysctls = append(n.Sysctls, Sysctl{key, value}) }
		each := func(before, after, value string) {
			for _, l := range n.Links {
				set(before+l.Name+after, value)
			}
		}
		forwarding := "0"
		if n.Role == RoleRouter {
			forwarding = "1"
		}
		// First, since a change of it resets others to those of a host or a router (ip-sysctl.rst).
		set("net.ipv4.ip_forward", forwarding)
		if six {
			set("net.ipv6.conf.all.disable_ipv6", "0")
			set("net.ipv6.conf.all.forwarding", forwarding)
			each("net.ipv6.conf.", ".accept_dad", "0") // addresses work at once
		} else {
			set("net.ipv6.conf.all.disable_ipv6", "1") // no multicast of 200 servers that nobody reads
		}
		// Replies of direct routing come back by another way than the request
		// went, with the VIP as source. The larger of all and the link counts.
		set("net.ipv4.conf.all.rp_filter", "0")
		each("net.ipv4.conf.", ".rp_filter", "0")
		if n.Role == RoleBalancer && r.standby != nil {
			set("net.ipv4.ip_nonlocal_bind", "1") // l7 listens at VIPs that the other balancer holds
			if six {
				set("net.ipv6.ip_nonlocal_bind", "1")
			}
		}
		switch n.Role {
		case RoleRouter:
			set("net.ipv4.conf.all.send_redirects", "0") // or clients learn ways around the topology
			each("net.ipv4.conf.", ".send_redirects", "0")
		case RoleClient, RoleBalancer:
			set("net.ipv4.ip_local_port_range", "1024 65535") // a connection per request uses up ports
			set("net.ipv4.tcp_tw_reuse", "1")                 // and takes one in TIME_WAIT again after a second
		case RoleServer:
			if len(n.Local) > 0 && six {
				set("net.ipv6.ip_nonlocal_bind", "1") // datagrams may have a source that is a prefix's, not an interface's
			}
			if len(n.Loopback)+len(n.Local) > 0 {
				// The VIP is the balancer's to answer ARP for (LVS: the ARP problem).
				set("net.ipv4.conf.all.arp_ignore", "1")
				set("net.ipv4.conf.all.arp_announce", "2")
				each("net.ipv4.conf.", ".arp_ignore", "1")
				each("net.ipv4.conf.", ".arp_announce", "2")
			}
		}
		if n.Role == RoleBalancer || n.Role == RoleServer {
			set("net.core.somaxconn", "4096") // all connections of a workload may come at once
			set("net.ipv4.tcp_max_syn_backlog", "4096")
		}
		r.typedSysctls(n)
	}
}

// typedSysctls adds a node's typed parameters, each in the place of the lab's own if that has one.
func (r *resolver) typedSysctls(n *node) {
	for _, e := range n.spec.Sysctls.Entries {
		s := Sysctl{string(e.Key.Value), string(e.Value.Value.Text)}
		if part := strings.Split(s.Key, "."); len(part) > 4 && (part[2] == "conf" || part[2] == "neigh") && !n.hasInterface(part[3]) {
			r.fail(e.Key.Pos, "", "sysctls: %s has no interface %s", n.Name, part[3])
		}
		if i := slices.IndexFunc(n.Sysctls, func(o Sysctl) bool { return o.Key == s.Key }); i >= 0 {
			n.Sysctls[i] = s
		} else {
			n.Sysctls = append(n.Sysctls, s)
		}
	}
}

func (n *node) hasInterface(name string) bool {
	return name == "all" || name == "default" || name == "lo" ||
		slices.ContainsFunc(n.Links, func(l Link) bool { return l.Name == name })
}

// listeners gives each server node its HTTP servers, one for each port.
func (r *resolver) listeners() {
	for _, n := range r.nodes {
		if n.Role != RoleServer {
			continue
		}
		all := netip.IPv4Unspecified()
		if slices.ContainsFunc(n.nets, (*network).has6) {
			all = netip.IPv6Unspecified() // takes IPv4 too
		}
		slices.Sort(n.ports)
		for _, port := range slices.Compact(n.ports) {
			n.Servers = append(n.Servers, Server{Name: n.Name, Addr: netip.AddrPortFrom(all, port), Body: int64(n.spec.Body.Value)})
		}
	}
}
