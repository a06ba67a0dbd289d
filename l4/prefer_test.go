package l4

import (
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"lbctl/internal/lb"
)

// What auto chooses, by the driver and by what works there.
func TestHookIsChosen(t *testing.T) {
	const native, generic, tcx = lb.HookNative, lb.HookGeneric, lb.HookTCX
	rows := []struct {
		name   string
		wanted lb.Hook
		driver string
		works  []lb.Hook
		want   lb.Hook
		reason string // a part of it
	}{
		{"a network card with XDP", lb.HookAuto, "ixgbe", lb.Hooks, native, "ixgbe has XDP"},
		{"a virtual machine's card", lb.HookAuto, "virtio_net", lb.Hooks, native, "virtio_net has XDP"},
		{"a virtual machine's card without a queue to spare", lb.HookAuto, "virtio_net", []lb.Hook{generic, tcx}, tcx, "native: "},
		{"a driver without XDP", lb.HookAuto, "e1000", []lb.Hook{generic, tcx}, tcx, "native: "},
		{"a driver without XDP before Linux 6.6", lb.HookAuto, "e1000", []lb.Hook{generic}, generic, "tcx: "},
		{"an interface without a driver to tell", lb.HookAuto, "none", []lb.Hook{generic, tcx}, tcx, "native: "},
		{"a veth", lb.HookAuto, "veth", lb.Hooks, tcx, "veth"},
		{"a veth before Linux 6.6", lb.HookAuto, "veth", []lb.Hook{native, generic}, native, "tcx: "},
		{"a tap", lb.HookAuto, "tun", lb.Hooks, tcx, "tap"},
		{"nothing works", lb.HookAuto, "ixgbe", nil, "", ""},
		{"native is told", native, "veth", lb.Hooks, native, "as configured"},
		{"generic is told", generic, "ixgbe", lb.Hooks, generic, "as configured"},
		{"tcx is told", tcx, "ixgbe", lb.Hooks, tcx, "as configured"},
		{"what is told does not work", native, "e1000", []lb.Hook{generic, tcx}, "", ""},
	}
	for _, row := range rows {
		hook, reason, err := prefer(row.wanted, row.driver).choose(func(h lb.Hook) error {
			if !slices.Contains(row.works, h) {
				return ebpf.ErrNotSupported
			}
			return nil
		})
		if hook != row.want || !strings.Contains(reason, row.reason) || (err == nil) == (row.want == "") {
			t.Errorf("%s: %q, because %q, error %v, want %q, because %q", row.name, hook, reason, err, row.want, row.reason)
		}
	}
}

// Real interfaces, as auto finds them.
func TestHookOfRealInterfaces(t *testing.T) {
	r := newRig(t)
	ok(t, r.ns.Do(func() error {
		tap := &netlink.Tuntap{LinkAttrs: netlink.NewLinkAttrs(), Mode: netlink.TUNTAP_MODE_TAP}
		tap.Name = "tap0"
		ok(t, netlink.LinkAdd(tap))
		bridge := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
		bridge.Name = "br0"
		return netlink.LinkAdd(bridge)
	}))
	r.options.Hook, r.options.Interfaces = lb.HookAuto, []string{"eth0", "tap0", "br0"}
	r.reopen()
	for i, part := range []string{"a veth", "a tap", "native: "} {
		if got := r.Hooks()[i]; got.Interface != r.options.Interfaces[i] || got.Hook != lb.HookTCX || !strings.Contains(got.Reason, part) {
			t.Errorf("%+v, want tcx on %s, because %q", got, r.options.Interfaces[i], part)
		}
	}
}

// Somebody else's program stays: at tcx there is place for both, at XDP there is not.
func TestSomebodyElsesProgramStays(t *testing.T) {
	r := newRig(t)
	ok(t, r.detach(pinOf(hook, r.eth1)))
	spec := &ebpf.ProgramSpec{
		Type: r.program(hook).Type(), License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	}
	program, err := ebpf.NewProgram(spec)
	ok(t, err)
	defer program.Close()
	var theirs link.Link
	ok(t, r.ns.Do(func() (err error) {
		theirs, err = attachAt(hook, program, r.eth1)
		return err
	}))
	defer theirs.Close()
	ok(t, r.Plane.Close())
	p, err := Open(r.options)
	if err == nil {
		ok(t, p.Close())
	}
	if (err == nil) != (hook == lb.HookTCX) || !on(theirs, r.eth1) {
		t.Errorf("Open: %v, their link in place: %t, want an error for XDP only", err, on(theirs, r.eth1))
	}
}
