package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
)

// footprint lists everything of this machine that a lab might leave behind,
// one line each: namespaces, links, mounts, BPF objects, processes and files.
func footprint(t *testing.T, folders ...string) []string {
	t.Helper()
	var lines []string
	add := func(kind string, items ...string) {
		for _, i := range items {
			lines = append(lines, kind+" "+i)
		}
	}
	for _, p := range processes() {
		add("process", p.exe)
		add("namespace", p.netns)
	}
	links, _ := os.ReadDir("/sys/class/net")
	for _, l := range links {
		add("link", l.Name())
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range strings.Split(strings.TrimSpace(string(mounts)), "\n") {
		add("mount", strings.Fields(m)[4])
	}
	// IDs are only told one by one, so the programs and maps that live are
	// found by walking them.
	for id := ebpf.ProgramID(0); ; {
		if id, err = ebpf.ProgramGetNextID(id); err != nil {
			break
		}
		add("bpf program", fmt.Sprint(id))
	}
	for id := ebpf.MapID(0); ; {
		if id, err = ebpf.MapGetNextID(id); err != nil {
			break
		}
		add("bpf map", fmt.Sprint(id))
	}
	for _, f := range folders {
		filepath.WalkDir(f, func(path string, _ os.DirEntry, _ error) error {
			add("file", path)
			return nil
		})
	}
	sort.Strings(lines)
	unique := lines[:0]
	for i, l := range lines {
		if i == 0 || l != lines[i-1] {
			unique = append(unique, l)
		}
	}
	return unique
}

// mustLeaveNothing fails if the machine holds more than it did before.
func mustLeaveNothing(t *testing.T, before []string, folders ...string) {
	t.Helper()
	// A namespace's links and a program's maps go a moment after their last user.
	var diff string
	for range 250 {
		after := footprint(t, folders...)
		if diff = cmp.Diff(before, after); diff == "" {
			return
		}
		exec.Command("sleep", "0.02").Run()
	}
	t.Errorf("left behind (-before +after):\n%s", diff)
}

type process struct {
	pid        int
	exe, netns string
}

// processes lists the lbctl processes of this machine and their namespaces.
func processes() (all []process) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		exe, err := os.Readlink(d + "/exe")
		if err != nil || !strings.Contains(exe, "lbctl") {
			continue
		}
		ns, _ := os.Readlink(d + "/ns/net")
		var pid int
		fmt.Sscanf(filepath.Base(d), "%d", &pid)
		all = append(all, process{pid, exe, ns})
	}
	return all
}
