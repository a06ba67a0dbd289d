package l4

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
		ports = append(ports, port{name, a.Index, [6]byte(a.HardwareAddr)})
	}
	return ports, nil
}

// writePorts tells the program the interfaces' MAC addresses.
func (p *Plane) writePorts(ports []port) error {
	for _, port := range ports {
		if err := p.objects.Ports.Put(uint32(port.index), xdpPort{Mac: port.mac}); err != nil {
			return fmt.Errorf("write port %q: %w", port.name, err)
		}
	}
	return nil
}

// attach makes the program run on exactly these interfaces.
func (p *Plane) attach(ports []port) error {
	if err := p.detachOthers(ports); err != nil {
		return err
	}
	for _, port := range ports {
		l, err := p.attachOne(port)
		if err != nil {
			return fmt.Errorf("attach XDP program to %q: %w", port.name, err)
		}
		p.links = append(p.links, l)
	}
	return nil
}

func (p *Plane) attachOne(port port) (link.Link, error) {
	pin := filepath.Join(p.options.PinDir, linkPin+strconv.Itoa(port.index))
	return attachPinned(p.options.NetNS, p.program(), port.index, pin)
}

// attachPinned makes program run on an interface and pins that, or takes over
// what is pinned there.
func attachPinned(ns *netns.Handle, program *ebpf.Program, index int, pin string) (link.Link, error) {
	l, err := link.LoadPinnedLink(pin, nil)
	if err == nil {
		if on(l, index) {
			return l, l.Update(program)
		}
		// The interface that it was on is gone, and its index is another's.
		if err := errors.Join(l.Unpin(), l.Close()); err != nil {
			return nil, err
		}
	}
	err = ns.Do(func() (err error) {
		l, err = link.AttachXDP(link.XDPOptions{Program: program, Interface: index, Flags: link.XDPDriverMode})
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := l.Pin(pin); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// on reports whether the link still holds a program on the interface.
func on(l link.Link, index int) bool {
	info, err := l.Info()
	return err == nil && info.XDP() != nil && int(info.XDP().Ifindex) == index
}

// detachOthers removes the links to interfaces that are no longer the plane's.
func (p *Plane) detachOthers(ports []port) error {
	entries, err := os.ReadDir(p.options.PinDir)
	if err != nil {
		return fmt.Errorf("read pin folder: %w", err)
	}
	for _, e := range entries {
		suffix, ours := strings.CutPrefix(e.Name(), linkPin)
		if !ours || slices.ContainsFunc(ports, func(p port) bool { return strconv.Itoa(p.index) == suffix }) {
			continue
		}
		if err := os.Remove(filepath.Join(p.options.PinDir, e.Name())); err != nil {
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
