package l4

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"lbctl/internal/lb"
)

func (r *rig) programID() ebpf.ProgramID {
	r.Helper()
	info, err := r.program(hook).Info()
	ok(r, err)
	id, _ := info.ID()
	return id
}

// A program is loaded again only if it was made from something else.
func TestPinnedProgramIsKept(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backend(1)))
	before := r.programID()
	spec, err := prepare(r.options)
	ok(t, err)
	name := map[lb.Hook]string{lb.HookTCX: tcxPin}[hook]
	if name == "" {
		name = xdpPin
	}
	is := func(when string, want bool) {
		t.Helper()
		kept, err := pinnedProgram(spec, name, r.options.PinDir)
		ok(t, err)
		if (kept != nil) != want {
			t.Errorf("%s: %v is to be kept, want one: %t", when, kept, want)
		}
		if kept != nil {
			ok(t, kept.Close())
		}
	}
	is("the same", true)
	r.reopen()
	if id := r.programID(); id != before {
		t.Errorf("the program is number %d after a restart, want %d as before", id, before)
	}
	ok(t, spec.Variables[xdpVarHz].Set(uint32(12345)))
	is("another constant", false)

	spec, err = prepare(r.options)
	ok(t, err)
	instructions := spec.Programs[name].Instructions
	spec.Programs[name].Instructions = instructions[:len(instructions):len(instructions)]
	was := build(spec)
	spec.Programs[name].Instructions = append(spec.Programs[name].Instructions, asm.Return())
	if build(spec) == was {
		t.Error("the hash of another program is the same")
	}

	spec, err = prepare(r.options)
	ok(t, err)
	ok(t, r.objects.Verdicts.Unpin())
	is("a map is not pinned", false)
	other, err := ebpf.NewMapWithOptions(spec.Maps[xdpMapVerdicts], ebpf.MapOptions{PinPath: r.options.PinDir})
	ok(t, err)
	defer other.Close()
	is("another map is pinned", false)
	r.reopen()
	is("loaded anew", true)
	if got := r.send(syn(1)); got.verdict != "NEW_FLOW" || r.packets("NEW_FLOW") != 1 {
		t.Errorf("%s, %d counted, want NEW_FLOW in the map that is pinned now", got.verdict, r.packets("NEW_FLOW"))
	}
}

// What no hook in use needs is neither loaded nor left pinned. tcx bridges the gap
// between native and generic.
func TestOnlyProgramsInUseAreThere(t *testing.T) {
	r := newRig(t)
	for _, h := range []lb.Hook{lb.HookTCX, lb.HookNative, lb.HookGeneric, lb.HookTCX} {
		r.options.Hook = h
		r.reopen()
		for name, want := range map[string]bool{xdpPin: h != lb.HookTCX, tcxPin: h == lb.HookTCX || h == lb.HookGeneric} {
			_, err := os.Stat(filepath.Join(r.options.PinDir, name))
			if got := err == nil; got != want {
				t.Errorf("at %s: %s is pinned: %t, want %t", h, name, got, want)
			}
		}
	}
}
