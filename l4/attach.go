package l4

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// pinOf is the name of an interface's link in the pin folder. The interface's
// name would not do: a BPF file system allows no dot in it.
func pinOf(hook lb.Hook, index int) string { return string(hook) + "-" + strconv.Itoa(index) }

// drain is how long old and new links stay side by side: long enough for what
// had passed the new one's place before it was there to reach the old one.
// Between the two lie queues of one CPU, emptied within a few ticks.
const drain = 20 * time.Millisecond

// attach makes the plane run on exactly these interfaces, at the hooks that
// suit them, and XDP run on their peers if one needs it.
//
// Where the hook changes, the new link is there before the old one goes. What
// XDP forwards never gets to tcx, and what it passes is judged a second time
// there, with the same verdict: it is counted twice, and forwarded by neither.
func (p *Plane) attach(ports []port) error {
	keep := map[string]bool{}
	p.hooks = nil
	peers := []string{}
	for _, port := range ports {
		choice, err := p.attachPort(port, &peers)
		if err != nil {
			return fmt.Errorf("attach to %q: %w", port.name, err)
		}
		p.hooks = append(p.hooks, choice)
		keep[pinOf(choice.Hook, port.index)] = true
		for _, pin := range peers {
			keep[pin] = keep[pin] || choice.Hook == lb.HookNative
		}
	}
	return p.detachOthers(keep)
}

// attachPort attaches at the first hook that works. Native XDP needs its peers
// before it sends the first packet; peers are their pins, once they are there.
func (p *Plane) attachPort(port port, peers *[]string) (lb.HookChoice, error) {
	var name string
	if err := p.options.NetNS.Do(func() error { name = driver(port.name); return nil }); err != nil {
		return lb.HookChoice{}, err
	}
	hook, reason, err := prefer(p.options.Hook, name).choose(func(hook lb.Hook) (err error) {
		if hook == lb.HookNative && len(*peers) == 0 {
			if *peers, err = p.attachPeers(); err != nil {
				return err
			}
		}
		return p.attachHook(hook, port)
	})
	return lb.HookChoice{Interface: port.name, Hook: hook, Reason: reason}, err
}

// attachHook makes way for the hook first where the kernel wants that: native
// and generic XDP exclude each other. tcx bridges the gap between them, until
// detachOthers takes it away.
func (p *Plane) attachHook(hook lb.Hook, port port) error {
	if err := p.objects.provide(hook); err != nil {
		return err
	}
	other := map[lb.Hook]lb.Hook{lb.HookNative: lb.HookGeneric, lb.HookGeneric: lb.HookNative}[hook]
	if other != "" && p.isPinned(pinOf(other, port.index)) {
		err := p.objects.provide(lb.HookTCX)
		if err == nil {
			err = p.attachPinned(p.options.NetNS, lb.HookTCX, p.program(lb.HookTCX), port.index, pinOf(lb.HookTCX, port.index))
		}
		if err != nil {
			p.log.Warn("packets pass by while the hook changes", "interface", port.name, "error", err)
		}
		if err := p.detach(pinOf(other, port.index)); err != nil {
			return err
		}
	}
	return p.attachPinned(p.options.NetNS, hook, p.program(hook), port.index, pinOf(hook, port.index))
}

// attachPinned makes program run on an interface and pins that, or takes over
// what is pinned there: then the program takes the place of the one that ran,
// between two packets.
func (p *Plane) attachPinned(ns *netns.Handle, hook lb.Hook, program *ebpf.Program, index int, name string) error {
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
		l, err = attachAt(hook, program, index)
		return err
	})
	if err != nil {
		return err
	}
	p.links = append(p.links, l)
	return l.Pin(pin)
}

func (p *Plane) isPinned(name string) bool {
	_, err := os.Stat(filepath.Join(p.options.PinDir, name))
	return !errors.Is(err, fs.ErrNotExist)
}

// isLinkPin tells links from what else is pinned.
func isLinkPin(name string) bool {
	kind, index, _ := strings.Cut(name, "-")
	for _, hook := range lb.Hooks {
		if kind == string(hook) && index != "" {
			return true
		}
	}
	return kind == peerKind && index != ""
}

// detachOthers ends the links that are not to be kept.
func (p *Plane) detachOthers(keep map[string]bool) error {
	entries, err := os.ReadDir(p.options.PinDir)
	if err != nil {
		return fmt.Errorf("read pin folder: %w", err)
	}
	drained := false
	for _, e := range entries {
		if !isLinkPin(e.Name()) || keep[e.Name()] {
			continue
		}
		if !drained {
			time.Sleep(drain)
			drained = true
		}
		if err := p.detach(e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// detach ends a pinned link. To remove the pin would do, but some time later.
func (p *Plane) detach(name string) error {
	l, err := link.LoadPinnedLink(filepath.Join(p.options.PinDir, name), nil)
	if err != nil {
		return fmt.Errorf("load pinned link: %w", err)
	}
	if err := errors.Join(l.Detach(), l.Unpin(), l.Close()); err != nil {
		return fmt.Errorf("detach program: %w", err)
	}
	return nil
}
