package l4

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"lbctl/internal/netns"
)

// linkPin and the interface's index are a link's name in the pin folder. A name
// would not do: a BPF file system allows no dot in it.
const linkPin = "link-"

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

// attach makes the program run on exactly these interfaces and their peers.
func (p *Plane) attach(ports []port) error {
	keep := map[string]bool{}
	for _, port := range ports {
		pin := linkPin + strconv.Itoa(port.index)
		keep[pin] = true
		if err := p.attachPinned(p.options.NetNS, p.program(), port.index, pin); err != nil {
			return fmt.Errorf("attach XDP program to %q: %w", port.name, err)
		}
	}
	if err := p.attachPeers(keep); err != nil {
		return err
	}
	return p.detachOthers(keep)
}

// attachPinned makes program run on an interface and pins that, or takes over
// what is pinned there.
func (p *Plane) attachPinned(ns *netns.Handle, program *ebpf.Program, index int, name string) error {
	pin := filepath.Join(p.options.PinDir, name)
	l, err := link.LoadPinnedLink(pin, nil)
	if err == nil && on(l, index) {
		p.links = append(p.links, l)
		return l.Update(program)
	}
	if err == nil {
		// The interface that it was on is gone, and its index is another's.
		if err := errors.Join(l.Unpin(), l.Close()); err != nil {
			return err
		}
	}
	err = ns.Do(func() (err error) {
		l, err = link.AttachXDP(link.XDPOptions{Program: program, Interface: index, Flags: link.XDPDriverMode})
		return err
	})
	if err != nil {
		return err
	}
	p.links = append(p.links, l)
	return l.Pin(pin)
}

// on reports whether the link still holds a program on the interface.
func on(l link.Link, index int) bool {
	info, err := l.Info()
	return err == nil && info.XDP() != nil && int(info.XDP().Ifindex) == index
}

// detachOthers ends the links that are not to be kept. To remove the pin would
// do, but some time later.
func (p *Plane) detachOthers(keep map[string]bool) error {
	entries, err := os.ReadDir(p.options.PinDir)
	if err != nil {
		return fmt.Errorf("read pin folder: %w", err)
	}
	for _, e := range entries {
		ours := strings.HasPrefix(e.Name(), linkPin) || strings.HasPrefix(e.Name(), peerPin)
		if !ours || keep[e.Name()] {
			continue
		}
		l, err := link.LoadPinnedLink(filepath.Join(p.options.PinDir, e.Name()), nil)
		if err != nil {
			return fmt.Errorf("load pinned link: %w", err)
		}
		if err := errors.Join(l.Detach(), l.Unpin(), l.Close()); err != nil {
			return fmt.Errorf("detach XDP program: %w", err)
		}
	}
	return nil
}

// replacePin pins a program in place of what was pinned there.
func replacePin(program *ebpf.Program, pin string) error {
	if err := os.Remove(pin); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("unpin program: %w", err)
	}
	if err := program.Pin(pin); err != nil {
		return fmt.Errorf("pin program: %w", err)
	}
	return nil
}
