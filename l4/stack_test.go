package l4

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// stackLimit is what all functions of a chain of calls may have of the stack
// together, and stackStep what each is rounded up to (kernel/bpf/verifier.c).
const (
	stackLimit = 512
	stackStep  = 16
)

// The deepest chain of calls of each program; `make verify-matrix` prints them. The
// verifier refuses what is too deep, but names neither the chain nor the frames.
func TestStackIsDeepEnough(t *testing.T) {
	spec, err := loadSpec()
	ok(t, err)
	for _, name := range hookPrograms {
		deepest := functionsOf(spec.Programs[name]).deepest(name)
		t.Logf("%s: %d of %d bytes: %s", name, deepest.bytes, stackLimit, strings.Join(deepest.names, ", "))
		if deepest.bytes > stackLimit {
			t.Errorf("%s needs %d bytes of stack", name, deepest.bytes)
		}
	}
}

// function is what a function of a program takes of the stack, and whom it calls.
type function struct {
	frame int
	calls []string
}

type functions map[string]*function

func functionsOf(p *ebpf.ProgramSpec) functions {
	all := functions{}
	var f *function
	var ahead asm.Instruction
	for _, ins := range p.Instructions {
		if name := ins.Symbol(); name != "" {
			f = &function{}
			all[name] = f
		}
		f.frame = max(f.frame, reach(ahead, ins))
		ahead = ins
		if (ins.IsFunctionCall() || ins.IsFunctionReference()) && !slices.Contains(f.calls, ins.Reference()) {
			f.calls = append(f.calls, ins.Reference())
		}
	}
	return all
}

// reach is how far below the frame pointer an instruction goes: in memory, or in an
// address that it makes of the pointer's copy, which the one ahead of it has made.
func reach(ahead, ins asm.Instruction) int {
	memory := ins.OpCode.Class().IsLoad() && ins.Src == asm.RFP || ins.OpCode.Class().IsStore() && ins.Dst == asm.RFP
	if memory {
		return -int(ins.Offset)
	}
	copied := ahead.OpCode == asm.Mov.Op(asm.RegSource) && ahead.Src == asm.RFP && ahead.Dst == ins.Dst
	if copied && ins.OpCode == asm.Add.Op(asm.ImmSource) {
		return -int(ins.Constant)
	}
	return 0
}

type chain struct {
	bytes int
	names []string
}

// deepest is the chain of calls from a function on that takes most.
func (all functions) deepest(name string) chain {
	f := all[name]
	if f == nil { // one of the kernel's
		return chain{}
	}
	var below chain
	for _, callee := range f.calls {
		if c := all.deepest(callee); c.bytes > below.bytes {
			below = c
		}
	}
	return chain{
		bytes: below.bytes + (max(f.frame, 1)+stackStep-1)/stackStep*stackStep,
		names: append([]string{fmt.Sprintf("%s %d", name, f.frame)}, below.names...),
	}
}
