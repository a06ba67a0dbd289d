package scenario

import (
	"net/netip"
	"slices"

	"lbctl/internal/lb"
)

// Under fullnat a server sees an address of the balancer's in the client's place, and
// replies to that. In a lab these are eight addresses that are for nothing else, in the
// balancers' block before those of tunnels: 198.18.2.224/29 and 2001:2::2e0/125. The
// balancer answers for them, and of two the one that is active: they float with the
// VIPs, so a flow that the standby was told of goes on with the address it had.
const (
	localAt   = 224
	localBits = 3
)

// choosePools gives the families of services with fullnat their local addresses. There
// are none where the balancers are on several networks, the network is small or somebody has one of
// the addresses: then a balancer's own address has to do.
func (r *resolver) choosePools() {
	if r.balancer == nil || len(r.balancer.nets) != 1 {
		return
	}
	net := r.balancer.nets[0]
	for _, six := range []bool{false, true} {
		subnet := net.subnet(six)
		if !slices.ContainsFunc(r.svcs, func(s *service) bool { return s.Forward == lb.FullNAT && s.six == six }) ||
			!subnet.IsValid() || net.size(subnet)/16 < 256 {
			continue
		}
		first := offset(subnet.Addr(), uint32(blocks[RoleBalancer]*256+localAt))
		pool, free := netip.PrefixFrom(first, first.BitLen()-localBits), true
		for a := first; pool.Contains(a); a = a.Next() {
			free = free && net.taken[a] == (holder{})
		}
		if !free {
			continue
		}
		for a := first; pool.Contains(a); a = a.Next() {
			net.taken[a] = holder{who: "fullnat"}
		}
		r.pools = append(r.pools, pool)
	}
}

// localsOn returns the local addresses on a network as host prefixes.
func (r *resolver) localsOn(net *network) (out []netip.Prefix) {
	for _, pool := range r.pools {
		for a := pool.Addr(); pool.Contains(a) && net == r.balancer.nets[0]; a = a.Next() {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return out
}
