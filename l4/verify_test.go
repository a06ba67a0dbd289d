package l4

import (
	"fmt"
	"os"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/cilium/ebpf"

	"lbctl/internal/lb"
)

// Every program of the object file passes the verifier within its default limits,
// in each way that Open loads it; `make verify-matrix` prints what it took. An
// instruction processed is one that the verifier looked at, once for each state
// that it was reached in: a million is its limit.
func TestVerifyMatrix(t *testing.T) {
	if hook != lb.HookNative {
		return // it loads the programs of all hooks
	}
	variants := []struct {
		name    string
		options Options
	}{
		{"defaults", Options{Timeouts: DefaultTimeouts}},
		{"short timeouts", Options{Timeouts: Timeouts{TCP: time.Second, FIN: time.Second, UDP: time.Second}}},
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(format string, args ...any) {
		if testing.Verbose() {
			fmt.Fprintf(out, format+"\t\n", args...)
		}
	}
	line("program\thook\twith\tprocessed\tinstructions\tmachine code\tload")
	for _, v := range variants {
		v.options.MaxFlows = 1024
		spec, err := prepare(v.options)
		ok(t, err)
		for _, m := range spec.Maps {
			m.Pinning = ebpf.PinNone
		}
		names := map[string]string{xdpProgBalance: "native, generic", xdpProgBalanceTcx: "tcx"}
		for name := range spec.Programs {
			one := spec.Copy()
			one.Programs = map[string]*ebpf.ProgramSpec{name: one.Programs[name]}
			begin := time.Now()
			c, err := ebpf.NewCollectionWithOptions(one, ebpf.CollectionOptions{})
			if err != nil {
				t.Errorf("%s, %s: %+v", name, v.name, err)
				continue
			}
			took := time.Since(begin)
			info, err := c.Programs[name].Info()
			ok(t, err)
			processed, _ := info.VerifiedInstructions()
			size, _ := info.JitedSize()
			code, err := info.Instructions()
			ok(t, err)
			if processed == 0 || processed >= 1_000_000 {
				t.Errorf("%s, %s: %d instructions processed", name, v.name, processed)
			}
			line("%s\t%s\t%s\t%d\t%d\t%d B\t%s", name, names[name], v.name, processed, len(code), size, took.Round(time.Millisecond))
			c.Close()
		}
	}
	ok(t, out.Flush())
}
