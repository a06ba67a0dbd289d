package l4

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"

	"lbctl/internal/lb"
)

func (r *rig) programIDs() (ids [2]ebpf.ProgramID) {
	r.Helper()
	for i, p := range []*ebpf.Program{r.objects.Balance, r.objects.BalanceTcx} {
		info, err := p.Info()
		ok(r, err)
		ids[i], _ = info.ID()
	}
	return ids
}

// A program is loaded again only if it was made from something else.
func TestPinnedProgramIsKept(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backend(1)))
	before := r.programIDs()
	spec, err := prepare(r.options)
	ok(t, err)
	name := map[lb.Hook]string{lb.HookTCX: tcxPin}[hook]
	if name == "" {
		name = xdpPin
	}
	is := func(when string, want bool) {
		t.Helper()
		kept, err := pinnedPrograms(spec, r.options.PinDir)
		ok(t, err)
		if (kept[name] != nil) != want || len(kept) > 1 {
			t.Errorf("%s: %v can be kept, want %s: %t", when, kept, name, want)
		}
		for _, p := range kept {
			ok(t, p.Close())
		}
	}
	is("the same", true)
	r.reopen()
	if diff := cmp.Diff(before, r.programIDs()); diff != "" {
		t.Errorf("IDs of the programs before (-) and after (+) a restart:\n%s", diff)
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
	ok(t, r.objects.Flows.Unpin())
	is("a map is not pinned", false)
	other, err := ebpf.NewMapWithOptions(spec.Maps[xdpMapFlows], ebpf.MapOptions{PinPath: r.options.PinDir})
	ok(t, err)
	defer other.Close()
	is("another map is pinned", false)
	r.reopen()
	is("loaded anew", true)
	if got := r.send(syn(1)); got.verdict != "NEW_FLOW" || r.entries() != 1 {
		t.Errorf("%s, %d entries, want NEW_FLOW in the map that is pinned now", got.verdict, r.entries())
	}
}
