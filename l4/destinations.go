package l4

import (
	"fmt"
	"net/netip"

	"lbctl/internal/lb"
)

// destinations are what packets may be addressed to, and the name of the
// service that has it; an empty name is nobody's.
type destinations struct {
	exact     map[xdpVip]string
	addresses map[xdpAddress]bool // single ones, whatever the port
	prefixes  []netip.Prefix      // all others
	except    []netip.Addr        // in a prefix, but the balancer's own
	rules     ruleSet
}

// destinationsOf sorts all that services are addressed by. What l7 listens on
// within a prefix or a range of l4 stays l7's, since one address and port is
// more than those, and the balancer's own addresses within a prefix stay its own.
func destinationsOf(s lb.Snapshot, want []*wanted, own []netip.Addr) (*destinations, error) {
	d := &destinations{exact: map[xdpVip]string{}, addresses: map[xdpAddress]bool{}}
	var rules []rule
	for _, w := range want {
		for _, m := range w.Matches() {
			if m.Prefix.IsSingleIP() {
				d.addresses[toAddress(m.Prefix.Addr())] = true
			}
			if m.Prefix.IsSingleIP() && m.OnePort() {
				d.exact[toKey(m)] = w.Name
				continue
			}
			rules = append(rules, rule{m, w.Name})
			if !m.Prefix.IsSingleIP() {
				d.prefixes = append(d.prefixes, m.Prefix)
			}
		}
	}
	for _, v := range s.Services {
		if v.Plane == lb.L4 {
			continue
		}
		for _, r := range rules {
			if r.Holds(v.VIP.Addr, v.VIP.Proto) {
				d.exact[toKey(v.VIP.Match())] = ""
			}
		}
	}
	for _, a := range own {
		if !d.addresses[toAddress(a)] && within(a, d.prefixes) {
			d.except = append(d.except, a)
		}
	}
	d.rules = compile(rules, d.except)
	if len(d.exact) > maxVIPs {
		return nil, fmt.Errorf("%d pairs of an address and a port: want at most %d", len(d.exact), maxVIPs)
	}
	return d, d.rules.check()
}

// maxVIPs leaves room for as many that are no longer wanted.
const maxVIPs = 16384 / 2

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// hasPrefix reports whether a service has more than single addresses.
func hasPrefix(want []*wanted) bool {
	for _, w := range want {
		for _, m := range w.Matches() {
			if !m.Prefix.IsSingleIP() {
				return true
			}
		}
	}
	return false
}
