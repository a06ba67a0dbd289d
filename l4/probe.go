package l4

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// Probe tries what a Plane needs of this machine: it loads the programs and
// attaches them to a veth, hook by hook. An error says why there can be no Plane
// at all, one in the map why not at that hook. Unless it is to be thorough, empty
// programs stand for those that the verifier takes seconds for.
func Probe(thorough bool) (map[lb.Hook]error, error) {
	spec, err := loadXdp()
	if err != nil {
		return nil, err
	}
	spec.Maps[xdpMapTemplates].MaxEntries = 1024
	if !thorough {
		for _, name := range hookPrograms {
			spec.Programs[name].Instructions = nothing()
		}
	}
	var o xdpObjects
	if err := spec.LoadAndAssign(&o, nil); err != nil {
		return nil, fmt.Errorf("load programs (needs root, or CAP_BPF and CAP_NET_ADMIN): %w", err)
	}
	defer o.Close()
	found := map[lb.Hook]error{}
	err = onVeth(func(index int) error {
		for _, hook := range lb.Hooks {
			program := o.Balance
			if hook == lb.HookTCX {
				program = o.BalanceTcx
			}
			found[hook] = tryAt(hook, program, index)
		}
		return nil
	})
	return found, err
}

// AutoOnVeth is what auto chooses on veths, such as a lab's. It is told before
// there are any, because how they are made depends on it.
func AutoOnVeth() (lb.Hook, error) {
	var chosen lb.Hook
	err := onVeth(func(index int) (err error) {
		chosen, _, err = prefer(lb.HookAuto, "veth").choose(func(hook lb.Hook) error {
			kind := ebpf.XDP
			if hook == lb.HookTCX {
				kind = ebpf.SchedCLS
			}
			program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
				Name: "probe", Type: kind, License: "Dual BSD/GPL",
				Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
			})
			if err != nil {
				return err
			}
			defer program.Close()
			return tryAt(hook, program, index)
		})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("find a hook for veths: %w", err)
	}
	return chosen, nil
}

func tryAt(hook lb.Hook, program *ebpf.Program, index int) error {
	l, err := attachAt(hook, program, index)
	if err != nil {
		return err
	}
	return errors.Join(l.Detach(), l.Close())
}

// onVeth calls f in a network namespace of its own, of which nothing stays, with
// the index of a veth.
func onVeth(f func(index int) error) error {
	ns, err := netns.New()
	if err != nil {
		return fmt.Errorf("make network namespace: %w", err)
	}
	defer ns.Close()
	return ns.Do(func() error {
		veth := netlink.NewVeth(netlink.NewLinkAttrs())
		veth.Name, veth.PeerName = "a", "b"
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("make veth: %w", err)
		}
		a, err := netlink.LinkByName("a")
		if err != nil {
			return fmt.Errorf("find veth: %w", err)
		}
		return errors.Join(f(a.Attrs().Index), netlink.LinkDel(a))
	})
}
