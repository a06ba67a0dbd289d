package l4

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// preference is which hooks to try on an interface, in this order, and why the
// first of them suits it.
type preference struct {
	hooks  []lb.Hook
	reason string
}

// softwareDrivers are those whose native XDP gains nothing, by the name that
// ethtool -i tells, with the reason. docs/l4-performance.md has the figures.
var softwareDrivers = map[string]string{
	"veth": "a veth: native XDP would copy each packet and take segmentation offload from the other end",
	"tun":  "a tap: native XDP would be run for some of its packets only",
}

// prefer returns what to try on an interface of this driver.
func prefer(wanted lb.Hook, driver string) preference {
	if wanted != lb.HookAuto {
		return preference{[]lb.Hook{wanted}, "as configured"}
	}
	if reason, ok := softwareDrivers[driver]; ok {
		return preference{[]lb.Hook{lb.HookTCX, lb.HookNative, lb.HookGeneric}, reason}
	}
	return preference{[]lb.Hook{lb.HookNative, lb.HookTCX, lb.HookGeneric}, fmt.Sprintf("driver %s has XDP of its own", driver)}
}

// choose returns the first hook that try has no error for, and why it is that one.
func (p preference) choose(try func(lb.Hook) error) (lb.Hook, string, error) {
	var errs []error
	for _, hook := range p.hooks {
		err := try(hook)
		if err == nil && len(errs) == 0 {
			return hook, p.reason, nil
		}
		if err == nil {
			return hook, fmt.Sprintf("the best that works there: %v", errors.Join(errs...)), nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", hook, err))
	}
	return "", "", errors.Join(errs...)
}

// driver returns the name of an interface's driver, "none" if it has none to
// tell. It must be called inside the interface's namespace.
func driver(name string) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "none"
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolDrvinfo(fd, name)
	if err != nil {
		return "none"
	}
	return unix.ByteSliceToString(info.Driver[:])
}

// attachAt attaches a program of the hook's kind. It must be called inside the
// interface's namespace.
func attachAt(hook lb.Hook, program *ebpf.Program, index int) (link.Link, error) {
	switch hook {
	case lb.HookTCX:
		return link.AttachTCX(link.TCXOptions{
			Program: program, Interface: index, Attach: ebpf.AttachTCXIngress, Anchor: link.Head(),
		})
	case lb.HookGeneric:
		return link.AttachXDP(link.XDPOptions{Program: program, Interface: index, Flags: link.XDPGenericMode})
	}
	return link.AttachXDP(link.XDPOptions{Program: program, Interface: index, Flags: link.XDPDriverMode})
}

// on reports whether the link still holds a program on the interface.
func on(l link.Link, index int) bool {
	info, err := l.Info()
	if err != nil {
		return false
	}
	if tcx := info.TCX(); tcx != nil {
		return int(tcx.Ifindex) == index
	}
	xdp := info.XDP()
	return xdp != nil && int(xdp.Ifindex) == index
}
