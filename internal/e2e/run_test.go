package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// The main job, shortened: what `make run` does with the first scenario.
func TestRunComparesBothPlanesAndLeavesNothing(t *testing.T) {
	w := newWorkshop(t)
	before := footprint(t, "/run/lbctl", "/sys/fs/bpf")
	file, err := filepath.Abs("../../scenarios/l4-vs-l7.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := w.lbctl("run", file, "--rounds", "1", "--duration", "1s", "--warmup", "300ms")
	for _, want := range []string{"direct", "web-l4", "web-l7", "keepalive", "connect"} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
	t.Logf("\n%s", out)
	again := w.lbctl("report")
	if again != out {
		t.Errorf("lbctl report prints something else than run did:\n%s", again)
	}
	if left, _ := filepath.Glob(w.run + "/*"); len(left) > 0 {
		t.Errorf("left in the run folder: %q", left)
	}
	mustLeaveNothing(t, before, "/run/lbctl", "/sys/fs/bpf")
}

func TestIdenticalServicesHaveNoWinner(t *testing.T) {
	w := newWorkshop(t)
	file, err := filepath.Abs("../../scenarios/same-twice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w.lbctl("up", file)
	var r struct {
		Workloads []struct {
			Name     string
			Verdicts []string
		}
	}
	w.json(&r, "compare", "--workload", "keepalive", "--duration", "1s", "--warmup", "300ms")
	if len(r.Workloads) == 0 {
		t.Fatal("nothing was compared")
	}
	for _, wl := range r.Workloads {
		if len(wl.Verdicts) == 0 {
			t.Errorf("%s: no verdict", wl.Name)
		}
		for _, v := range wl.Verdicts {
			if !strings.Contains(v, "no winner") {
				t.Errorf("%s: two identical services, yet: %s", wl.Name, v)
			}
		}
	}
}
