package l4

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// filterBit is the bit of an address in the program's filter; may_concern in
// bpf/service.h computes the same.
func filterBit(a xdpAddress) (word, bit uint32) {
	fold := a.Word[0] ^ a.Word[1] ^ a.Word[2] ^ a.Word[3]
	n := fold * 2654435761 >> 16
	return n / 64, n % 64
}

// admit lets packets to all services' addresses through to the look-ups. It
// comes after the services are in place.
func (p *Plane) admit(services []*service) error {
	for _, v := range services {
		if err := p.objects.Addresses.Put(v.key.Addr, uint32(0)); err != nil {
			return fmt.Errorf("insert address of service %q: %w", v.name, err)
		}
	}
	return p.openFilter(addressesOf(services))
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

// addressesOf are the services' own, and those of backends that reply over the balancer.
func addressesOf(services []*service) (out []xdpAddress) {
	for _, v := range services {
		out = append(out, v.key.Addr)
	}
	return append(out, repliers(services)...)
}

// repliers are the addresses that replies come from.
func repliers(services []*service) (out []xdpAddress) {
	for _, v := range services {
		for _, m := range v.members {
			if m.backend.Forward == xdpForwardNAT {
				out = append(out, m.backend.Addr)
			}
		}
	}
	return out
}

// dismiss closes the filter to all but these services' packets.
func (p *Plane) dismiss(services []*service) error {
	keep := map[xdpAddress]bool{}
	for _, v := range services {
		keep[v.key.Addr] = true
	}
	for i, bits := range filterOf(addressesOf(services)) {
		if err := p.setFilter(i, bits); err != nil {
			return err
		}
	}
	var stale []xdpAddress
	var address xdpAddress
	var value uint32
	entries := p.objects.Addresses.Iterate()
	for entries.Next(&address, &value) {
		if !keep[address] {
			stale = append(stale, address)
		}
	}
	if err := entries.Err(); err != nil {
		return fmt.Errorf("read addresses: %w", err)
	}
	for _, a := range stale {
		if err := p.objects.Addresses.Delete(a); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("delete address %s: %w", fromAddress(a), err)
		}
	}
	return nil
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
