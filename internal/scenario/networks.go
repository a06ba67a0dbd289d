package scenario

import (
	"encoding/binary"
	"net/netip"
)

// network is a network being resolved.
type network struct {
	Network
	at      Pos
	routers []*node
	taken   map[netip.Addr]holder
}

// holder says whose an address is. Several services may share a VIP.
type holder struct {
	who string
	vip bool
}

func (n *network) has6() bool { return n.Subnet6.IsValid() }

// networks chooses each network's subnets.
func (r *resolver) networks() {
	entries := limited(r, "networks", r.spec.Networks.Entries, maxNetworks)
	r.netNamed = map[string]*network{}
	if len(entries) == 0 {
		entries = []Entry[NetworkName, NetworkSpec]{{Key: Val[NetworkName]{Value: "lan"}}}
	}
	specs := make([]NetworkSpec, len(entries))
	for i, e := range entries {
		spec := filled(e.Value)
		specs[i] = spec
		n := &network{at: e.Key.Pos, taken: map[netip.Addr]holder{}}
		n.Name, n.MTU = string(e.Key.Value), int(spec.MTU.Value)
		if n.Name == "lo" {
			r.fail(e.Key.Pos, "", "a network cannot be named lo: each node has an interface of that name")
		}
		n.Subnet, n.Subnet6 = spec.Subnet.Value.Prefix, spec.Subnet6.Value.Prefix
		r.nets, r.netNamed[n.Name] = append(r.nets, n), n
		r.checkSubnets(n, spec)
	}
	for i, n := range r.nets {
		if !n.Subnet.IsValid() {
			n.Subnet = r.freeSubnet(n, range4, 20, i, func(o *network) netip.Prefix { return o.Subnet })
		}
		if r.wants6(specs[i]) && !n.Subnet6.IsValid() {
			n.Subnet6 = r.freeSubnet(n, range6, 64, i, func(o *network) netip.Prefix { return o.Subnet6 })
		}
	}
}

func (r *resolver) wants6(spec NetworkSpec) bool {
	if spec.IPv6.IsSet() {
		return bool(spec.IPv6.Value)
	}
	return bool(r.spec.IPv6.Value) || spec.Subnet6.IsSet()
}

// checkSubnets refuses subnets of the wrong family or size and those that overlap.
func (r *resolver) checkSubnets(n *network, spec NetworkSpec) {
	p4, p6 := spec.Subnet, spec.Subnet6
	switch {
	case !p4.IsSet():
	case !n.Subnet.Addr().Is4():
		r.fail(p4.Pos, "", "subnet: %s is IPv6: want it as subnet6", n.Subnet)
		n.Subnet = netip.Prefix{}
	case n.Subnet.Bits() < 16 || n.Subnet.Bits() > 26:
		r.fail(p4.Pos, "", "subnet: want a length from /16 to /26, which leaves addresses for every role, not /%d", n.Subnet.Bits())
	}
	switch {
	case !p6.IsSet():
	case n.Subnet6.Addr().Is4():
		r.fail(p6.Pos, "", "subnet6: %s is IPv4: want it as subnet", n.Subnet6)
		n.Subnet6 = netip.Prefix{}
	case n.Subnet6.Bits() != 64:
		r.fail(p6.Pos, "", "subnet6: want a /64, not a /%d", n.Subnet6.Bits())
	case spec.IPv6.IsSet() && !bool(spec.IPv6.Value):
		r.fail(p6.Pos, "", "subnet6 contradicts ipv6: false on line %d", spec.IPv6.Pos.Line)
	}
	for _, o := range r.nets[:len(r.nets)-1] {
		if p4.IsSet() && o.Subnet.IsValid() && n.Subnet.IsValid() && o.Subnet.Overlaps(n.Subnet) {
			r.fail(p4.Pos, "", "subnet: %s overlaps %s of network %s", n.Subnet, o.Subnet, o.Name)
		}
		if p6.IsSet() && o.Subnet6.IsValid() && n.Subnet6.IsValid() && o.Subnet6.Overlaps(n.Subnet6) {
			r.fail(p6.Pos, "", "subnet6: %s overlaps %s of network %s", n.Subnet6, o.Subnet6, o.Name)
		}
	}
}

// freeSubnet returns the i-th subnet of that length of the range, or the first
// after it (or from the start) that overlaps no other network's.
func (r *resolver) freeSubnet(n *network, within netip.Prefix, bits, i int, of func(*network) netip.Prefix) netip.Prefix {
	count := 1 << (bits - within.Bits())
	for k := range count {
		p := nthSubnet(within, bits, (i+k)%count)
		if !r.overlaps(p, of) {
			return p
		}
	}
	r.fail(n.at, "", "network %s: no /%d of %s is left", n.Name, bits, within)
	return netip.Prefix{}
}

func (r *resolver) overlaps(p netip.Prefix, of func(*network) netip.Prefix) bool {
	for _, o := range r.nets {
		if q := of(o); q.IsValid() && q.Overlaps(p) {
			return true
		}
	}
	return false
}

// nthSubnet returns the i-th subnet of a length within a prefix. For IPv6 the
// length is at most 64.
func nthSubnet(within netip.Prefix, bits, i int) netip.Prefix {
	if within.Addr().Is4() {
		return netip.PrefixFrom(offset(within.Addr(), uint32(i)<<(32-bits)), bits)
	}
	b := within.Addr().As16()
	high := binary.BigEndian.Uint64(b[:8]) + uint64(i)<<(64-bits)
	binary.BigEndian.PutUint64(b[:8], high)
	return netip.PrefixFrom(netip.AddrFrom16(b), bits)
}

// offset returns the address that many after a. The caller keeps it in range.
func offset(a netip.Addr, by uint32) netip.Addr {
	if a.Is4() {
		b := a.As4()
		binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+by)
		return netip.AddrFrom4(b)
	}
	b := a.As16()
	low := binary.BigEndian.Uint64(b[8:]) + uint64(by)
	binary.BigEndian.PutUint64(b[8:], low)
	return netip.AddrFrom16(b)
}
