package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lbctl/internal/netns"
	"lbctl/internal/scenario"
)

func wantNothingLeft(t *testing.T, o Options, before []string) {
	t.Helper()
	if after := machine(t, o); !slices.Equal(before, after) {
		t.Fatalf("before:\n\t%s\nafter:\n\t%s", strings.Join(before, "\n\t"), strings.Join(after, "\n\t"))
	}
}

func TestDownLeavesNothingHoweverOften(t *testing.T) {
	o := options(t)
	before := machine(t, o)
	lab, _ := mustUp(t, o, direct("gone", 3))
	if err := os.Mkdir(lab.Path("bpf", "pins"), 0o700); err != nil {
		t.Fatal(err)
	}
	h, err := lab.Node("c1")
	if err != nil {
		t.Fatal(err)
	}
	// What runs in a node goes too, even if it does not listen to SIGTERM.
	cmd := exec.Command("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
	ready, _ := cmd.StdoutPipe()
	if err := h.Start(cmd); err != nil {
		t.Fatal(err)
	}
	h.Close()
	_, _ = ready.Read(make([]byte, 6))
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for range 2 {
		if err := Down(t.Context(), o, "gone"); err != nil {
			t.Fatal(err)
		}
		wantNothingLeft(t, o, before)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the process in the node lives")
	}
	if _, err := Open(o, "gone"); !errors.Is(err, ErrNoLab) {
		t.Errorf("Open after Down: %v", err)
	}
}

// helper runs this binary as lbctl and kills it after a while, unless it is
// done sooner.
func helper(t *testing.T, after time.Duration, input any, args ...string) {
	t.Helper()
	data, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Stdin = bytes.NewReader(data)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // or a finished one would idle for a second
	var output bytes.Buffer
	cmd.Stderr = &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil && !strings.Contains(err.Error(), "killed") {
		t.Fatalf("helper %v: %v\n%s", args, err, output.String())
	}
}

// upTime is how long an undisturbed Up in a helper takes.
func upTime(t *testing.T, o Options, topology scenario.Topology) time.Duration {
	t.Helper()
	start := time.Now()
	helper(t, time.Minute, topology, "up", o.Dir)
	took := time.Since(start)
	if err := Down(t.Context(), o, topology.Lab); err != nil {
		t.Fatal(err)
	}
	return took
}

func TestUpKilledAtTenMomentsCanBeRemovedAndCompleted(t *testing.T) {
	o := options(t)
	before := machine(t, o)
	topology := direct("killed", 6)
	took := upTime(t, o, topology)
	for i := range 10 {
		moment := time.Duration((float64(i) + rand.Float64()) / 10 * float64(took))
		helper(t, moment, topology, "up", o.Dir)
		start := time.Now()
		if err := Down(t.Context(), o, "killed"); err != nil {
			t.Fatalf("down after a kill at %v of %v: %v", moment, took, err)
		}
		t.Log(moment, took, "down took", time.Since(start))
		wantNothingLeft(t, o, before)
		helper(t, moment, topology, "up", o.Dir)
		lab, _, err := Up(t.Context(), o, topology)
		if err != nil {
			t.Fatalf("up after a kill at %v of %v: %v", moment, took, err)
		}
		if got := get(t, from(t, lab, "c1"), "http://198.18.4.6/"); got != "s6" {
			t.Fatalf("%q answered after a kill at %v of %v", got, moment, took)
		}
		if _, changes := mustUp(t, o, topology); len(changes) > 0 {
			t.Fatalf("after a kill at %v of %v: up twice changes %v", moment, took, changes)
		}
		if err := Down(t.Context(), o, "killed"); err != nil {
			t.Fatal(err)
		}
		wantNothingLeft(t, o, before)
	}
}

func TestDownKilledAtTenMomentsCanBeRepeated(t *testing.T) {
	o := options(t)
	before := machine(t, o)
	for range 10 {
		mustUp(t, o, direct("killed", 3))
		helper(t, time.Duration(rand.IntN(60))*time.Millisecond, nil, "down", o.Dir, "killed")
		if err := Down(t.Context(), o, "killed"); err != nil {
			t.Fatal(err)
		}
		wantNothingLeft(t, o, before)
	}
}

func TestDownRefusesANamespaceThatIsNotTheLabs(t *testing.T) {
	o := options(t)
	lab, _ := mustUp(t, o, direct("mine", 1))
	path := lab.Path("netns", "s1")
	if err := netns.Unpin(path); err != nil {
		t.Fatal(err)
	}
	foreign, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	if err := foreign.Pin(path); err != nil {
		t.Fatal(err)
	}
	bystander := exec.Command("sleep", "5")
	if err := foreign.Start(bystander); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Up(t.Context(), o, direct("mine", 1)); !errors.Is(err, ErrForeign) {
		t.Errorf("Up: %v, want ErrForeign", err)
	}
	for range 2 {
		if err := Down(t.Context(), o, "mine"); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), path) {
			t.Errorf("Down: %v, want ErrForeign at %s", err, path)
		}
	}
	if h, err := netns.Open(path); err != nil || h.Cookie() != foreign.Cookie() {
		t.Errorf("the foreign namespace is gone: %v", err)
	}
	if got, err := netns.Processes(map[uint64]bool{foreign.Inode(): true}); err != nil || len(got) != 1 {
		t.Errorf("the foreign namespace's processes: %v, %v", got, err)
	}
	if lab.Servers()[0].Alive {
		t.Error("the lab's own server, in the namespace that lost its name, lives")
	}
	_ = bystander.Process.Kill()
	_ = bystander.Wait()
	if err := netns.Unpin(path); err != nil {
		t.Fatal(err)
	}
}

func TestServerInANamespaceThatLostItsNameIsReplaced(t *testing.T) {
	o := options(t)
	topology := direct("nameless", 1)
	lab, _ := mustUp(t, o, topology)
	stray := lab.Servers()[0].PID
	if err := netns.Unpin(lab.Path("netns", "s1")); err != nil {
		t.Fatal(err)
	}
	if infos, err := List(o); err != nil || infos[0].State != StateDamaged || !strings.Contains(infos[0].Detail, "s1") {
		t.Errorf("List = %+v, %v", infos, err)
	}
	lab, _ = mustUp(t, o, topology)
	if got := get(t, from(t, lab, "c1"), "http://198.18.4.1/"); got != "s1" {
		t.Errorf("%q answered", got)
	}
	if commandLine(stray) != nil {
		t.Error("the server in the nameless namespace lives")
	}
}

func TestFolderWithoutARegistryIsRemoved(t *testing.T) {
	for name, registry := range map[string]string{"absent": "", "half": `{"format": 1, "lab": "ha`, "otherboot": `{"format": 1, "lab": "otherboot", "boot": "x", "namespaces": [{"node": "s1"}]}`} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			before := machine(t, o)
			dir := filepath.Join(o.Dir, name)
			if err := os.MkdirAll(filepath.Join(dir, "netns"), 0o700); err != nil {
				t.Fatal(err)
			}
			if registry != "" {
				if err := os.WriteFile(filepath.Join(dir, "lab.json"), []byte(registry), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if infos, err := List(o); err != nil || len(infos) != 1 || infos[0].State == StateUp || infos[0].Detail == "" {
				t.Errorf("List = %+v, %v", infos, err)
			}
			if err := Down(t.Context(), o, name); err != nil {
				t.Fatal(err)
			}
			wantNothingLeft(t, o, before)
		})
	}
}

func TestUpStartsAfreshAfterABoot(t *testing.T) {
	o := options(t)
	topology := direct("booted", 1)
	dir := o.folder("booted")
	if err := os.MkdirAll(dir.path("netns"), 0o700); err != nil {
		t.Fatal(err)
	}
	old := &registry{Format: registryFormat, Lab: "booted", Boot: "another", Complete: true, Topologies: []scenario.Topology{topology}}
	if err := errors.Join(old.save(dir), os.WriteFile(dir.netns("s1"), nil, 0o600), os.WriteFile(dir.path("state.json"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	lab, _ := mustUp(t, o, topology)
	if _, err := os.Stat(lab.Path("state.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state of another boot is left: %v", err)
	}
	if got := get(t, from(t, lab, "c1"), "http://198.18.4.1/"); got != "s1" {
		t.Errorf("%q answered", got)
	}
}

func TestUpsAndDownsAtTheSameTimeExcludeEachOther(t *testing.T) {
	o := options(t)
	before := machine(t, o)
	topology := direct("crowd", 2)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, _, err := Up(t.Context(), o, topology); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := Down(t.Context(), o, "crowd"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := Down(t.Context(), o, "crowd"); err != nil {
		t.Fatal(err)
	}
	wantNothingLeft(t, o, before)
}
