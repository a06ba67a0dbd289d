package l4

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// DecapOptions say where a server takes packets out of tunnels.
type DecapOptions struct {
	NetNS      *netns.Handle // the server's; must stay open until AttachDecap returns
	Interfaces []string
	PinDir     string // a folder of this server's on a BPF file system, made if absent
	Keep       bool   // go on unwrapping, beside what is asked for, what was before: until the balancer sends no more of it
}

// AttachDecap makes a server unwrap what d says, and nothing else: with the
// program in bpf/decap.bpf.c at the interfaces' tcx ingress (Linux 6.6). It is
// pinned and goes on by itself; to attach it again changes what differs, and no
// packet is lost meanwhile.
func AttachDecap(o DecapOptions, d lb.Decap) error {
	if err := attachDecap(o, d); err != nil {
		return fmt.Errorf("attach decapsulation: %w", err)
	}
	return nil
}

func attachDecap(o DecapOptions, d lb.Decap) error {
	if err := os.MkdirAll(o.PinDir, 0o700); err != nil {
		return fmt.Errorf("make pin folder: %w", err)
	}
	spec, err := loadDecap()
	if err != nil {
		return err
	}
	for _, m := range spec.Maps {
		if m.Name[0] != '.' {
			m.Pinning = ebpf.PinByName
		}
	}
	var objects decapObjects
	err = spec.LoadAndAssign(&objects, &ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: o.PinDir}})
	if errors.Is(err, ebpf.ErrMapIncompatible) {
		return fmt.Errorf("%w (%w)", ErrIncompatible, err)
	}
	if err != nil {
		return fmt.Errorf("load program: %w", err)
	}
	defer objects.Close()
	if err := objects.fill(d, o.Keep); err != nil {
		return err
	}
	return objects.attach(o)
}

// fill makes the maps say what d says. What is still wanted is never absent.
func (o *decapObjects) fill(d lb.Decap, keep bool) error {
	var ends []decapTunnelEnd
	for _, e := range d.Ends {
		ends = append(ends, decapTunnelEnd{Addr: decapAddress(toAddress(e.Addr)), Gue: toPort(guePort(e.By))})
	}
	var sources []decapSource
	for _, p := range d.Sources {
		bits := p.Bits()
		if p.Addr().Is4() {
			bits += 96 // behind ::ffff:
		}
		sources = append(sources, decapSource{Bits: uint32(bits), Addr: decapAddress(toAddress(p.Masked().Addr()))})
	}
	var vips []decapAddress
	for _, a := range d.VIPs {
		vips = append(vips, decapAddress(toAddress(a)))
	}
	return errors.Join(putKeys(o.DecapEnds, ends, keep), putKeys(o.DecapSources, sources, keep), putKeys(o.DecapVips, vips, keep))
}

// putKeys makes these the keys of a map, beside those that it has if they are kept.
func putKeys[K comparable](m *ebpf.Map, keys []K, keep bool) error {
	wanted := map[K]bool{}
	for _, k := range keys {
		wanted[k] = true
		if err := m.Put(k, uint32(0)); err != nil {
			return fmt.Errorf("write %s: %w", m, err)
		}
	}
	if keep {
		return nil
	}
	var stale []K
	var key K
	var value uint32
	entries := m.Iterate()
	for entries.Next(&key, &value) {
		if !wanted[key] {
			stale = append(stale, key)
		}
	}
	if err := entries.Err(); err != nil {
		return fmt.Errorf("read %s: %w", m, err)
	}
	for _, k := range stale {
		if err := m.Delete(k); err != nil {
			return fmt.Errorf("delete from %s: %w", m, err)
		}
	}
	return nil
}

// attach makes the program run on exactly these interfaces.
func (o *decapObjects) attach(options DecapOptions) error {
	keep := map[string]bool{}
	err := options.NetNS.Do(func() error {
		for _, name := range options.Interfaces {
			l, err := netlink.LinkByName(name)
			if err != nil {
				return fmt.Errorf("find interface %q: %w", name, err)
			}
			pin := pinOf(lb.HookTCX, l.Attrs().Index)
			keep[pin] = true
			if err := o.attachTo(l.Attrs().Index, filepath.Join(options.PinDir, pin)); err != nil {
				return fmt.Errorf("attach to %q: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return detachDecap(options.PinDir, keep)
}

// attachTo runs in the interface's namespace.
func (o *decapObjects) attachTo(index int, pin string) error {
	l, err := link.LoadPinnedLink(pin, nil)
	if err == nil {
		defer l.Close()
		if info, err := l.Info(); err == nil && info.TCX() != nil && int(info.TCX().Ifindex) == index {
			return l.Update(o.Decap)
		}
		if err := l.Unpin(); err != nil { // the interface that it was on is gone
			return err
		}
	}
	l, err = link.AttachTCX(link.TCXOptions{Interface: index, Program: o.Decap, Attach: ebpf.AttachTCXIngress})
	if err != nil {
		return err
	}
	return errors.Join(l.Pin(pin), l.Close())
}

// detachDecap ends the links in a pin folder that are not to be kept.
func detachDecap(dir string, keep map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read pin folder: %w", err)
	}
	for _, e := range entries {
		if !isLinkPin(e.Name()) || keep[e.Name()] {
			continue
		}
		l, err := link.LoadPinnedLink(filepath.Join(dir, e.Name()), nil)
		if err != nil {
			return fmt.Errorf("load pinned link: %w", err)
		}
		if err := errors.Join(l.Detach(), l.Unpin(), l.Close()); err != nil {
			return fmt.Errorf("detach program: %w", err)
		}
	}
	return nil
}

// RemoveDecap undoes AttachDecap, even of an interface that is gone. Where
// nothing was attached it does nothing.
func RemoveDecap(pinDir string) error {
	err := detachDecap(pinDir, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err = errors.Join(err, os.RemoveAll(pinDir)); err != nil {
		return fmt.Errorf("remove decapsulation: %w", err)
	}
	return nil
}

// DecapVerdicts returns what became of the tunnels' packets on a server.
func DecapVerdicts(pinDir string) ([]lb.Verdict, error) {
	spec, err := loadDecap()
	if err != nil {
		return nil, err
	}
	counts, err := ebpf.LoadPinnedMap(filepath.Join(pinDir, decapMapDecapVerdicts), &ebpf.LoadPinOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("open counters of decapsulation: %w", err)
	}
	defer counts.Close()
	table := make([]decapWords, spec.Maps[decapMapDecapVerdicts].MaxEntries)
	if err := spec.Variables[decapVarDecapWords].Get(table); err != nil {
		return nil, fmt.Errorf("read names of verdicts: %w", err)
	}
	out := make([]lb.Verdict, len(table))
	for i, w := range table {
		var perCPU []uint64
		if err := counts.Lookup(uint32(i), &perCPU); err != nil {
			return nil, fmt.Errorf("read counters of decapsulation: %w", err)
		}
		out[i] = lb.Verdict{Name: toText(w.Name[:]), Text: toText(w.Sentence[:])}
		for _, n := range perCPU {
			out[i].Packets += n
		}
	}
	return out, nil
}
