package l4

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// port is an interface that the program is attached to.
type port struct {
	name   string
	index  int
	mac    [6]byte
	mtu    int
	across bool // a veth whose other end is in another namespace
}

// maxIfindex is the size of the map of ports.
const maxIfindex = 65536

// ports looks the interfaces up.
func (p *Plane) ports() ([]port, error) {
	var ports []port
	for _, name := range p.options.Interfaces {
		l, err := p.hops.links.LinkByName(name)
		if err != nil {
			return nil, fmt.Errorf("find interface %q: %w", name, err)
		}
		a := l.Attrs()
		if len(a.HardwareAddr) != 6 {
			return nil, fmt.Errorf("use interface %q: it has no Ethernet address", name)
		}
		if a.Index >= maxIfindex {
			return nil, fmt.Errorf("use interface %q: its index %d is beyond %d", name, a.Index, maxIfindex-1)
		}
		ports = append(ports, port{name, a.Index, [6]byte(a.HardwareAddr), a.MTU, across(l)})
	}
	return ports, nil
}

// across reports whether an interface is a veth whose other end is in another
// namespace. Only then does bpf_redirect_peer deliver.
func across(l netlink.Link) bool {
	_, veth := l.(*netlink.Veth)
	return veth && l.Attrs().NetNsID >= 0
}

// writePorts tells the program the interfaces' MAC addresses and MTUs.
func (p *Plane) writePorts(ports []port) error {
	for _, port := range ports {
		value := xdpPort{Mac: port.mac, Mtu: uint16(min(port.mtu, maxPacket))}
		if port.across {
			value.Across = 1
		}
		if err := p.objects.Ports.Put(uint32(port.index), value); err != nil {
			return fmt.Errorf("write port %q: %w", port.name, err)
		}
	}
	return nil
}
