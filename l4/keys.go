package l4

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

	"lbctl/internal/lb"
)

// keys are what the program finds services by, as they stand in the maps.
type keys struct {
	vips      map[xdpVip]xdpService
	prefixes  map[xdpPrefix]xdpService
	addresses map[xdpAddress]bool

	classes *pool    // IDs of classes of ports
	current []uint16 // those of rules, by rules' own numbers
	old     []uint16 // in no map of classes any more
	rules   ruleSet
	known   bool // whether rules are those in the maps
}

// nobody is the service of what is no service's.
var nobody = xdpService{Flags: xdpServiceFlagNOBODY}

func (s *state) readKeys(maps *xdpMaps) error {
	s.keys = keys{
		vips: map[xdpVip]xdpService{}, prefixes: map[xdpPrefix]xdpService{}, addresses: map[xdpAddress]bool{},
		classes: newPool(1 << 16),
	}
	s.keys.classes.mark(uint32(xdpClassNO_PORTS))
	var vip xdpVip
	var prefix xdpPrefix
	var address xdpAddress
	var service xdpService
	var nothing uint32
	vips, prefixes, addresses := maps.Services.Iterate(), maps.Prefixes.Iterate(), maps.Addresses.Iterate()
	for vips.Next(&vip, &service) {
		s.keys.vips[vip] = service
	}
	for prefixes.Next(&prefix, &service) {
		s.keys.prefixes[prefix] = service
		if id := uint16(prefix.Class); prefix.Class != xdpClassALL_PORTS && !s.keys.classes.used[id] {
			s.keys.classes.mark(uint32(id))
			s.keys.old = append(s.keys.old, id)
		}
	}
	for addresses.Next(&address, &nothing) {
		s.keys.addresses[address] = true
	}
	if err := errors.Join(vips.Err(), prefixes.Err(), addresses.Err()); err != nil {
		return fmt.Errorf("read services: %w", err)
	}
	return nil
}

// called is what a service is called by between balancers, in flows of that
// protocol: its lowest VIP, or else the lowest address that it has as part of a
// prefix or with several ports, with port 0. It depends on the keys alone.
func (k *keys) called(v *service, proto lb.Protocol) lb.VIP {
	if vip := k.first(v, proto); vip.Addr.IsValid() {
		return vip
	}
	var lowest netip.Addr
	for key, value := range k.prefixes {
		addr := fromAddress(key.Addr)
		if key.Class != xdpClassALL_PORTS && value.Flags&xdpServiceFlagNOBODY == 0 && value.Index == v.value.Index &&
			(!lowest.IsValid() || addr.Less(lowest)) {
			lowest = addr
		}
	}
	return lb.VIP{Addr: netip.AddrPortFrom(lowest, 0), Proto: proto}
}

// first is the lowest VIP that a service has of these protocols, if it has one.
func (k *keys) first(v *service, protos ...lb.Protocol) lb.VIP {
	var found lb.VIP
	for key, value := range k.vips {
		vip := fromVIP(key)
		if value.Flags&xdpServiceFlagNOBODY == 0 && value.Index == v.value.Index && slices.Contains(protos, vip.Proto) &&
			(!found.Addr.IsValid() || cmp.Or(vip.Addr.Compare(found.Addr), cmp.Compare(vip.Proto, found.Proto)) < 0) {
			found = vip
		}
	}
	return found
}

// writeKeys makes each key of d lead to its service as that is now. Other keys
// stay, and what they lead to must stay, until dropKeys.
func (p *Plane) writeKeys(d *destinations) error {
	k := &p.state.keys
	for key, name := range d.exact {
		if err := put(p.objects.Services, k.vips, key, p.valueOf(name)); err != nil {
			return fmt.Errorf("write %s of service %q: %w", fromVIP(key), name, err)
		}
	}
	if k.known && k.rules.equal(d.rules) {
		return p.writeEntries(d.rules.entries, k.current)
	}
	return p.writeRules(d)
}

// valueOf returns what keys of a service hold; no name is nobody's.
func (p *Plane) valueOf(name string) xdpService {
	if name == "" {
		return nobody
	}
	return p.state.find(name).value
}

func put[K comparable](m *ebpf.Map, have map[K]xdpService, key K, value xdpService) error {
	if was, ok := have[key]; ok && was == value {
		return nil
	}
	if err := m.Put(key, value); err != nil {
		return err
	}
	have[key] = value
	return nil
}

// dropKeys deletes all keys that are not of d.
func (p *Plane) dropKeys(d *destinations) error {
	k := &p.state.keys
	for key := range k.vips {
		if _, stays := d.exact[key]; !stays {
			if err := drop(p.objects.Services, k.vips, key); err != nil {
				return fmt.Errorf("delete %s: %w", fromVIP(key), err)
			}
		}
	}
	stays := map[xdpPrefix]bool{}
	for _, e := range d.rules.entries {
		stays[toPrefix(e.prefix, xdpClass(k.current[e.class]))] = true
	}
	for key := range d.withoutPorts() {
		stays[key] = true
	}
	for key := range k.prefixes {
		if !stays[key] {
			if err := drop(p.objects.Prefixes, k.prefixes, key); err != nil {
				return fmt.Errorf("delete prefix at %s: %w", fromAddress(key.Addr), err)
			}
		}
	}
	for _, id := range k.old {
		k.classes.release(uint32(id))
	}
	k.old = nil
	return nil
}

func drop[K comparable, V any](m *ebpf.Map, have map[K]V, key K) error {
	if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	delete(have, key)
	return nil
}

// withoutPorts are the keys by which the program finds whether an address is a
// service's at all.
func (d *destinations) withoutPorts() map[xdpPrefix]xdpService {
	out := map[xdpPrefix]xdpService{}
	for _, prefix := range d.prefixes {
		out[toPrefix(prefix, xdpClassALL_PORTS)] = xdpService{}
	}
	for _, a := range d.except {
		out[toPrefix(netip.PrefixFrom(a, a.BitLen()), xdpClassALL_PORTS)] = nobody
	}
	return out
}

// writeAddresses makes the program know the addresses of d as services'.
func (p *Plane) writeAddresses(d *destinations) error {
	k := &p.state.keys
	for key, value := range d.withoutPorts() {
		if err := put(p.objects.Prefixes, k.prefixes, key, value); err != nil {
			return fmt.Errorf("write prefix at %s: %w", fromAddress(key.Addr), err)
		}
	}
	for a := range d.addresses {
		if k.addresses[a] {
			continue
		}
		if err := p.objects.Addresses.Put(a, uint32(0)); err != nil {
			return fmt.Errorf("write address %s: %w", fromAddress(a), err)
		}
		k.addresses[a] = true
	}
	return nil
}

// dropAddresses deletes all single addresses that are not of d.
func (p *Plane) dropAddresses(d *destinations) error {
	k := &p.state.keys
	for _, a := range slices.Collect(maps.Keys(k.addresses)) {
		if d.addresses[a] {
			continue
		}
		if err := drop(p.objects.Addresses, k.addresses, a); err != nil {
			return fmt.Errorf("delete address %s: %w", fromAddress(a), err)
		}
	}
	return nil
}
