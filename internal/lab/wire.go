package lab

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"

	"github.com/vishvananda/netlink"

	"lbctl/internal/scenario"
)

// defaultMTU is for a topology that names none.
const defaultMTU = 1500

// bridge is a network as the hub sees it.
type bridge struct {
	network string
	name    string
	mtu     int
}

func bridgeOf(n scenario.Network) bridge {
	b := bridge{network: n.Name, name: bridgeName(n.Name), mtu: n.MTU}
	if b.mtu == 0 {
		b.mtu = defaultMTU
	}
	return b
}

func (b bridge) String() string { return fmt.Sprintf("%s, mtu %d", b.network, b.mtu) }

// mac keeps the bridge from taking a port's address, a new one with each port.
func (b bridge) mac() net.HardwareAddr {
	hash := fnv.New32a()
	hash.Write([]byte(b.network))
	return append(net.HardwareAddr{0x02, 0xb0}, hash.Sum(nil)...)
}

func (b *builder) makeBridge(br bridge) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = br.name, br.mtu, br.mac()
	attrs.Flags = net.FlagUp
	snooping := false // which would hold neighbour discovery back
	if err := b.spaces[hub].nl.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}); err != nil {
		return fmt.Errorf("make bridge %s: %w", br.name, err)
	}
	return b.setBridge(br)
}

func (b *builder) setBridge(br bridge) error {
	nl := b.spaces[hub].nl
	link, err := nl.LinkByName(br.name)
	if err != nil {
		return fmt.Errorf("find bridge %s: %w", br.name, err)
	}
	if err := errors.Join(nl.LinkSetMTU(link, br.mtu), nl.LinkSetUp(link)); err != nil {
		return fmt.Errorf("set bridge %s: %w", br.name, err)
	}
	return nil
}

// wire is a node's link: a veth pair from the node into a port of the
// network's bridge.
type wire struct {
	node, link, mac string // the node's end
	port, bridge    string // the hub's end
	network         string
	mtu             int
	offloads        bool // the sender may leave checksums and segmentation to others
}

func wireOf(t scenario.Topology, node string, link scenario.Link) wire {
	w := wire{node: node, link: link.Name, mac: normalMAC(link.MAC), port: PortName(node, link.Name), network: link.Network, offloads: t.Offloads()}
	for _, network := range t.Networks {
		if network.Name == link.Network {
			br := bridgeOf(network)
			w.bridge, w.mtu = br.name, br.mtu
		}
	}
	return w
}

// normalMAC spells an address as the kernel's answers are spelt.
func normalMAC(mac string) string {
	if parsed, err := net.ParseMAC(mac); err == nil {
		return parsed.String()
	}
	return mac
}

func (w wire) String() string {
	return fmt.Sprintf("%s to %s, mac %s, mtu %d", w.link, w.network, w.mac, w.mtu)
}

// makeWire makes both ends where they belong, in one request to the kernel.
func (b *builder) makeWire(w wire) error {
	for _, end := range []struct{ node, link string }{{hub, w.port}, {w.node, w.link}} {
		if err := b.deleteLink(end.node, end.link); err != nil {
			return err // half of a former wire
		}
	}
	mac, err := net.ParseMAC(w.mac)
	if err != nil {
		return fmt.Errorf("make link %s of %s: %w", w.link, w.node, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = w.port, w.mtu
	veth := &netlink.Veth{
		LinkAttrs: attrs, PeerName: w.link, PeerMTU: uint32(w.mtu), PeerHardwareAddr: mac,
		PeerNamespace: netlink.NsFd(b.spaces[w.node].ns.Fd()), PeerTxQLen: -1,
	}
	if err := b.spaces[hub].nl.LinkAdd(veth); err != nil {
		return fmt.Errorf("make link %s of %s: %w", w.link, w.node, err)
	}
	return b.setWire(w)
}

// setWire brings both ends into the wanted state, the port's being up last:
// whoever finds the port up finds the rest done.
func (b *builder) setWire(w wire) error {
	inside, outside := b.spaces[w.node], b.spaces[hub]
	mac, err := net.ParseMAC(w.mac)
	if err != nil {
		return fmt.Errorf("set link %s of %s: %w", w.link, w.node, err)
	}
	end, err := inside.nl.LinkByName(w.link)
	if err != nil {
		return fmt.Errorf("find link %s of %s: %w", w.link, w.node, err)
	}
	port, err := outside.nl.LinkByName(w.port)
	if err != nil {
		return fmt.Errorf("find port %s: %w", w.port, err)
	}
	master, err := outside.nl.LinkByName(w.bridge)
	if err != nil {
		return fmt.Errorf("find bridge %s: %w", w.bridge, err)
	}
	steps := []func() error{
		func() error { return setOffload(inside.sock, w.link, txChecksum, w.offloads) },
		func() error { return setOffload(outside.sock, w.port, txChecksum, w.offloads) },
		func() error { return setOffload(outside.sock, w.port, gro, true) },
	}
	if end.Attrs().HardwareAddr.String() != w.mac {
		steps = append(steps, func() error { return inside.nl.LinkSetHardwareAddr(end, mac) })
	}
	if end.Attrs().MTU != w.mtu || port.Attrs().MTU != w.mtu {
		steps = append(steps, func() error { return outside.nl.LinkSetMTU(port, w.mtu) },
			func() error { return inside.nl.LinkSetMTU(end, w.mtu) })
	}
	if port.Attrs().MasterIndex != master.Attrs().Index {
		steps = append(steps, func() error { return outside.nl.LinkSetMasterByIndex(port, master.Attrs().Index) })
	}
	steps = append(steps, func() error { return inside.nl.LinkSetUp(end) }, func() error { return outside.nl.LinkSetUp(port) })
	for _, do := range steps {
		if err := do(); err != nil {
			return fmt.Errorf("set link %s of %s: %w", w.link, w.node, err)
		}
	}
	return nil
}

// deleteLink takes a link away, a veth with its other end. One that is gone
// already is no error.
func (b *builder) deleteLink(node, name string) error {
	nl := b.spaces[node].nl
	link, err := nl.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err == nil {
		err = nl.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("delete link %s of %s: %w", name, node, err)
	}
	return nil
}

func (b *builder) setUp(node, name string) error {
	nl := b.spaces[node].nl
	link, err := nl.LinkByName(name)
	if err == nil {
		err = nl.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("set link %s of %s up: %w", name, node, err)
	}
	return nil
}
