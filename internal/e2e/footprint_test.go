package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
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
	slices.Sort(lines)
	return slices.Compact(lines)
}

// mustLeaveNothing fails if the machine holds anything that it did not before.
func mustLeaveNothing(t *testing.T, before []string, folders ...string) {
	t.Helper()
	var left []string
	// A namespace's links and a program's maps go a moment after their last user.
	for range 250 {
		left = slices.DeleteFunc(footprint(t, folders...), func(line string) bool {
			return slices.Contains(before, line)
		})
		if len(left) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
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
