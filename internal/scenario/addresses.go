package scenario

import (
	"fmt"
	"net/netip"
)

// vipBlock is the sixteenth of a subnet that VIPs come from, among those of roles.
const vipBlock Role = "VIP"

// natBlock is where the addresses begin by which servers are reached under nat.
const natBlock Role = "NAT"

// blocks are the sixteenths of a subnet by what they are for; servers have the
// fifth and all after it, also that of natBlock where it is free. In 198.18.0.0/20 c1 is 198.18.1.1 and s1 198.18.4.1.
var blocks = map[Role]int{RoleRouter: 0, RoleClient: 1, RoleBalancer: 2, vipBlock: 3, RoleServer: 4, natBlock: 12}

// nth returns how far the n-th address of a role (1, 2, …) is from the start of
// a subnet of that many addresses; false if there are fewer. A block has at
// most 256 addresses, and of 256 the first and the last are not used, as the
// eye takes them for a network's own and its broadcast.
func nth(size int, role Role, n int) (uint32, bool) {
	block := min(256, size/16)
	start, end := blocks[role]*block, (blocks[role]+1)*block
	if role == RoleServer {
		end = size
	}
	var at int
	if block == 256 {
		at = start + (n-1)/254*256 + (n-1)%254 + 1
	} else {
		at = start + n
	}
	return uint32(at), at < min(end, size-1)
}

// size returns how many addresses the layout of a network spreads over. An IPv6
// subnet follows its IPv4 one, but is never smaller than a /20's.
func (n *network) size(p netip.Prefix) int {
	size := 1 << (32 - n.Subnet.Bits())
	if p.Addr().Is6() {
		size = max(size, 1<<12)
	}
	return size
}

// addresses gives out addresses: first those that were typed, then VIPs, then
// to nodes with a number in their name, then to the rest, so that adding a
// node moves none that has a number.
func (r *resolver) addresses() {
	for _, n := range r.nodes {
		for i, net := range n.nets {
			n.Links = append(n.Links, Link{Network: net.Name, Name: fmt.Sprintf("eth%d", i)})
		}
		for _, l := range n.spec.Networks.Items {
			r.typedAddress(n, l, l.Address, false)
			r.typedAddress(n, l, l.Address6, true)
		}
	}
	for _, s := range r.svcs {
		r.placeVIPs(s)
	}
	for _, s := range r.svcs {
		r.chooseVIP(s)
	}
	r.settle()
	next := map[string]int{}
	for _, numbered := range []bool{true, false} {
		for _, n := range r.nodes {
			for i, net := range n.nets {
				r.choose(n, i, net, net.Subnet, numbered, next)
				if net.has6() {
					r.choose(n, i, net, net.Subnet6, numbered, next)
				}
			}
		}
	}
	r.choosePools()
	r.finishLinks()
}

// typedAddress takes an address that the scenario gives a node.
func (r *resolver) typedAddress(n *node, l LinkSpec, typed Val[Addr], six bool) {
	if !typed.IsSet() {
		return
	}
	i := 0
	for n.nets[i].Name != string(l.Network.Value) {
		i++
	}
	net, key, subnet := n.nets[i], "address", n.nets[i].Subnet
	if six {
		key, subnet = "address6", net.Subnet6
	}
	addr := typed.Value.Addr
	switch {
	case !subnet.IsValid():
		r.fail(typed.Pos, "", "%s: network %s has no IPv6: set ipv6 there or for the scenario", key, net.Name)
	case !r.usable(typed.Pos, key, addr, net, subnet):
	case r.take(typed.Pos, net, addr, holder{who: "node " + n.Name}):
		link := &n.Links[i]
		link.Addrs = append(link.Addrs, netip.PrefixFrom(addr, subnet.Bits()))
	}
}

// usable refuses an address that no host of the subnet can have.
func (r *resolver) usable(at Pos, key string, addr netip.Addr, net *network, subnet netip.Prefix) bool {
	switch {
	case !subnet.Contains(addr):
		r.fail(at, "", "%s: %s is not in %s, the subnet of network %s", key, addr, subnet, net.Name)
	case addr == subnet.Addr():
		r.fail(at, "", "%s: %s is the address of network %s itself", key, addr, net.Name)
	case addr.Is4() && !subnet.Contains(addr.Next()):
		r.fail(at, "", "%s: %s is the broadcast address of network %s", key, addr, net.Name)
	default:
		return true
	}
	return false
}

// take notes whose an address is, or that it is another's.
func (r *resolver) take(at Pos, net *network, addr netip.Addr, h holder) bool {
	if other, taken := net.taken[addr]; taken && !(other.vip && h.vip) {
		r.fail(at, "", "address %s of %s is taken by %s", addr, h.who, other.who)
		return false
	}
	net.taken[addr] = h
	return true
}

// choose gives a node an address on a network, unless it has one of that family.
func (r *resolver) choose(n *node, link int, net *network, subnet netip.Prefix, numbered bool, next map[string]int) {
	for _, a := range n.Links[link].Addrs {
		if a.Addr().Is4() == subnet.Addr().Is4() {
			return
		}
	}
	addr, ok := netip.Addr{}, false
	if numbered {
		if n.number == 0 {
			return
		}
		at, fits := nth(net.size(subnet), n.Role, n.number)
		addr = offset(subnet.Addr(), at)
		if _, taken := net.taken[addr]; !fits || taken {
			return
		}
	} else if addr, ok = firstFree(net, subnet, n.Role, next); !ok {
		if full := "full " + string(n.Role) + " " + subnet.String(); next[full] == 0 { // once is enough
			next[full] = 1
			r.fail(n.at, "", "network %s: %s has no address left for %s %s", net.Name, subnet, n.Role, n.Name)
		}
		return
	}
	net.taken[addr] = holder{who: "node " + n.Name}
	n.Links[link].Addrs = append(n.Links[link].Addrs, netip.PrefixFrom(addr, subnet.Bits()))
}

// firstFree returns the first address of a role that is not taken. next
// remembers where the last search ended.
func firstFree(net *network, subnet netip.Prefix, role Role, next map[string]int) (netip.Addr, bool) {
	key := string(role) + " " + subnet.String()
	for i := next[key] + 1; ; i++ {
		at, ok := nth(net.size(subnet), role, i)
		if !ok {
			return netip.Addr{}, false
		}
		if addr := offset(subnet.Addr(), at); net.taken[addr] == (holder{}) {
			next[key] = i
			return addr, true
		}
	}
}
