package scenario

import (
	"cmp"
	"net/netip"

	"lbctl/internal/lb"
)

// Under tun a server is one end of a tunnel: it takes packets to the VIP out of
// what the balancer has put around them, has the VIP on lo, and answers clients
// itself. The tunnel leads over routers, and may be of another family than the VIP.

// tunnelOf resolves a service's encapsulation.
func (r *resolver) tunnelOf(s *service) {
	typed := s.spec.Tunnel
	if s.Forward != lb.Tunnel {
		if typed.Pos.IsSet() {
			r.fail(typed.Pos, "", "tunnel is for forward: tun")
		}
		return
	}
	t := filled(typed)
	s.L4.Tunnel = lb.Encapsulation{Kind: lb.TunnelKind(t.Kind.Value)}
	switch {
	case s.L4.Tunnel.Kind == lb.GUE:
		s.L4.Tunnel.Port = uint16(cmp.Or(t.Port.Value, defaultGUEPort))
	case t.Port.IsSet():
		r.fail(t.Port.Pos, "", "port: only gue has ports")
	}
	s.outer6 = s.six
	if t.IPv6.IsSet() {
		s.outer6 = bool(t.IPv6.Value)
	}
}

const defaultGUEPort = 6080 // IANA's

// endTunnel makes a backend's node the other end of a service's tunnel.
func (r *resolver) endTunnel(s *service, n *node, addr netip.Addr) {
	n.Decap.Ends = appendNew(n.Decap.Ends, lb.TunnelEnd{Addr: addr, By: s.L4.Tunnel})
	n.Decap.VIPs = appendNew(n.Decap.VIPs, s.VIP.Addr.Addr())
	for _, p := range r.outerSources(addr.Is6()) {
		n.Decap.Sources = appendNew(n.Decap.Sources, p)
	}
}

func appendNew[T comparable](list []T, item T) []T {
	for _, old := range list {
		if old == item {
			return list
		}
	}
	return append(list, item)
}

// outerSources are what outer headers may bear: the balancers' own addresses and
// their pool.
func (r *resolver) outerSources(six bool) (out []netip.Prefix) {
	for _, b := range []*node{r.balancer, r.standby} {
		if b == nil {
			continue
		}
		for _, net := range b.nets {
			if own := b.addr(net, six); own.IsValid() {
				out = append(out, netip.PrefixFrom(own, own.BitLen()))
			}
		}
	}
	for _, pool := range r.tunnelSources() {
		if pool.Addr().Is6() == six {
			out = append(out, pool)
		}
	}
	return out
}

// poolAt is where the balancers' block ends in addresses that are a pool for
// outer sources: 16 of them, 198.18.2.240/28 and 2001:2::2f0/124. They are on the
// balancers' own network, where they are reached, so no router's reverse path filter
// minds them.
const (
	poolAt   = 240
	poolBits = 4
)

// tunnelSources are the balancers' pools. There is none where they are on
// several networks, the network is small or somebody has one of the addresses.
func (r *resolver) tunnelSources() (out []netip.Prefix) {
	if len(r.balancer.nets) != 1 {
		return nil
	}
	net := r.balancer.nets[0]
	for _, subnet := range []netip.Prefix{net.Subnet, net.Subnet6} {
		if !subnet.IsValid() || net.size(subnet)/16 < 256 {
			continue
		}
		first := offset(subnet.Addr(), uint32(blocks[RoleBalancer]*256+poolAt))
		pool, free := netip.PrefixFrom(first, first.BitLen()-poolBits), true
		for a := first; pool.Contains(a); a = a.Next() {
			free = free && net.taken[a] == (holder{})
		}
		if free {
			out = append(out, pool)
		}
	}
	return out
}
