package l4

import (
	"fmt"
	"net/netip"
)

// filterBit is the bit of an address in the program's filter; may_concern in
// bpf/lookup.h computes the same.
func filterBit(a xdpAddress) (word, bit uint32) {
	fold := a.Word[0] ^ a.Word[1] ^ a.Word[2] ^ a.Word[3]
	n := fold * 2654435761 >> 16
	return n / 64, n % 64
}

// admit lets packets to all services' addresses through to the look-ups. It
// comes after the services are in place.
func (p *Plane) admit(services []*service, d *destinations) error {
	if err := p.writeAddresses(d); err != nil {
		return err
	}
	shortest := shortestOf(d.prefixes)
	if err := p.openFilter(addressesOf(services, d, shortest)); err != nil {
		return err
	}
	if p.state.shortest == shortest {
		return nil
	}
	for family, length := range shortest {
		if err := p.objects.Shortest.Put(uint32(family), length); err != nil {
			return fmt.Errorf("write length of the shortest prefix: %w", err)
		}
	}
	p.state.shortest = shortest
	return p.awaitPackets() // one that has read the old length needs the old bits
}

// dismiss closes the filter to all but these services' packets, and then no
// longer knows the keys of others.
func (p *Plane) dismiss(services []*service, d *destinations) error {
	for i, bits := range filterOf(addressesOf(services, d, p.state.shortest)) {
		if err := p.setFilter(i, bits); err != nil {
			return err
		}
	}
	if err := p.dropAddresses(d); err != nil {
		return err
	}
	return p.dropKeys(d)
}

// openFilter lets packets from and to these addresses in, beside those it does already.
func (p *Plane) openFilter(addresses []xdpAddress) error {
	for i, bits := range filterOf(addresses) {
		if err := p.setFilter(i, p.state.filter[i]|bits); err != nil {
			return err
		}
	}
	return nil
}

// addressesOf are those that the filter must know: the services' own, where
// their prefixes begin when cut to the shortest one's length, and the addresses
// of backends that reply over the balancer.
func addressesOf(services []*service, d *destinations, shortest [2]uint32) []xdpAddress {
	out := repliers(services)
	for a := range d.addresses {
		out = append(out, a)
	}
	for _, p := range d.prefixes {
		bits := int(shortest[0]) - 1 - 96
		if p.Addr().Is6() {
			bits = int(shortest[1]) - 1
		}
		out = append(out, toAddress(netip.PrefixFrom(p.Addr(), bits).Masked().Addr()))
	}
	return out
}

// shortestOf returns what the map says: by family, the shortest length as one of IPv6, plus 1.
func shortestOf(prefixes []netip.Prefix) (out [2]uint32) {
	for _, p := range prefixes {
		family, length := 0, uint32(p.Bits()+96+1)
		if p.Addr().Is6() {
			family, length = 1, uint32(p.Bits()+1)
		}
		if out[family] == 0 || length < out[family] {
			out[family] = length
		}
	}
	return out
}

// repliers are the addresses that replies come from.
func repliers(services []*service) (out []xdpAddress) {
	for _, v := range services {
		for _, m := range v.members {
			if isReplying(m.backend.Forward) {
				out = append(out, m.backend.Addr)
			}
		}
	}
	return out
}

func filterOf(addresses []xdpAddress) []uint64 {
	words := make([]uint64, filterWords)
	for _, a := range addresses {
		word, bit := filterBit(a)
		words[word] |= 1 << bit
	}
	return words
}

// filterWords is the size of the map.
const filterWords = 65536 / 64

func (p *Plane) setFilter(i int, bits uint64) error {
	if p.state.filter[i] == bits {
		return nil
	}
	if err := p.objects.Filter.Put(uint32(i), bits); err != nil {
		return fmt.Errorf("write filter: %w", err)
	}
	p.state.filter[i] = bits
	return nil
}
