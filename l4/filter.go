package l4

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// filterBit is the bit of an address in the program's filter; maybe_vip in
// bpf/service.h computes the same.
func filterBit(a xdpAddress) (word, bit uint32) {
	fold := a.Word[0] ^ a.Word[1] ^ a.Word[2] ^ a.Word[3]
	n := fold * 2654435761 >> 16
	return n / 64, n % 64
}

// admit lets packets to all services' addresses through to the look-ups. It
// comes after the services are in place.
func (p *Plane) admit(services []*service) error {
	want := filterOf(services)
	for _, v := range services {
		if err := p.objects.Addresses.Put(v.key.Addr, uint32(0)); err != nil {
			return fmt.Errorf("insert address of service %q: %w", v.name, err)
		}
	}
	for i, bits := range want {
		if err := p.setFilter(i, p.state.filter[i]|bits); err != nil {
			return err
		}
	}
	return nil
}

// dismiss closes the filter to all but these services' addresses.
func (p *Plane) dismiss(services []*service) error {
	keep := map[xdpAddress]bool{}
	for _, v := range services {
		keep[v.key.Addr] = true
	}
	for i, bits := range filterOf(services) {
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

func filterOf(services []*service) []uint64 {
	words := make([]uint64, filterWords)
	for _, v := range services {
		word, bit := filterBit(v.key.Addr)
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
