package l4

import "fmt"

// port is an interface that the program is attached to.
type port struct {
	name  string
	index int
	mac   [6]byte
	mtu   int
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
		ports = append(ports, port{name, a.Index, [6]byte(a.HardwareAddr), a.MTU})
	}
	return ports, nil
}

// writePorts tells the program the interfaces' MAC addresses and MTUs.
func (p *Plane) writePorts(ports []port) error {
	for _, port := range ports {
		if err := p.objects.Ports.Put(uint32(port.index), xdpPort{Mac: port.mac, Mtu: uint16(min(port.mtu, maxPacket))}); err != nil {
			return fmt.Errorf("write port %q: %w", port.name, err)
		}
	}
	return nil
}
