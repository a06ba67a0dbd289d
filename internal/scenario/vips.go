package scenario

import (
	"fmt"
	"net/netip"
	"slices"
)

// placeVIPs takes the VIPs that a service was given.
func (r *resolver) placeVIPs(s *service) {
	for _, m := range s.matches {
		if m.prefix.IsValid() || !m.vip.IsSet() || !r.usable(m.vip.Pos, "vip", m.vip.Value.Addr, m.net, m.net.subnet(s.six)) {
			continue
		}
		m.addr = m.vip.Value.Addr
		r.take(m.vip.Pos, m.net, m.addr, holder{who: "service " + s.Name, vip: true})
	}
}

// chooseVIP gives a service that has no VIP one of its own.
func (r *resolver) chooseVIP(s *service) {
	if len(s.matches) == 0 {
		return
	}
	own := s.matches[0]
	subnet := s.net.subnet(s.six)
	if !subnet.IsValid() {
		r.fail(s.at, "", "service %s wants IPv6 and network %s has none: set ipv6 there or for the scenario", s.Name, s.net.Name)
		return
	}
	if own.prefix.IsValid() || own.vip.IsSet() {
		return
	}
	addr, ok := firstFree(s.net, subnet, vipBlock, map[string]int{})
	if !ok {
		r.fail(s.at, "", "network %s: %s has no VIP left for service %s", s.net.Name, subnet, s.Name)
		return
	}
	own.addr = addr
	s.net.taken[addr] = holder{who: "service " + s.Name, vip: true}
}

// finishLinks orders each link's addresses, puts the VIPs on the balancer's
// links, or makes them floating if there are two, and derives the MAC addresses. What
// stands for clients under fullnat goes with the VIPs.
func (r *resolver) finishLinks() {
	for _, n := range r.nodes {
		for i := range n.Links {
			l := &n.Links[i]
			slices.SortStableFunc(l.Addrs, func(a, b netip.Prefix) int { return a.Addr().BitLen() - b.Addr().BitLen() })
			if len(l.Addrs) > 0 {
				l.MAC = mac(l.Addrs[0].Addr())
			}
			switch {
			case n != r.balancer:
			case r.standby == nil:
				l.Addrs = append(append(l.Addrs, r.vipsOn(n.nets[i])...), r.localsOn(n.nets[i])...)
			default:
				for _, held := range append(r.vipsOn(n.nets[i]), r.localsOn(n.nets[i])...) {
					r.floating = append(r.floating, Floating{l.Name, held.Addr()})
				}
			}
		}
	}
}

// vipsOn returns the VIPs of a network as host prefixes, IPv4 first, each once.
func (r *resolver) vipsOn(net *network) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range r.svcs {
		for _, m := range s.matches {
			if m.net == net && m.addr.IsValid() {
				out = appendHost(out, m.addr)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b netip.Prefix) int { return a.Addr().BitLen() - b.Addr().BitLen() })
	return out
}

func appendHost(to []netip.Prefix, a netip.Addr) []netip.Prefix {
	p := netip.PrefixFrom(a, a.BitLen())
	if slices.Contains(to, p) {
		return to
	}
	return append(to, p)
}

// mac derives a link's address from its IPv4 address, so that it is unique in
// the lab and the same after a rebuild. 02 marks it as locally administered.
func mac(a netip.Addr) string {
	b := a.As4()
	return fmt.Sprintf("02:00:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
}
