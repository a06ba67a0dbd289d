package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// group is a cgroup, by which the CPU time of processes is known also when they
// have ended.
type group struct {
	dir    string
	kernel string // of version 1: where memory is accounted for; empty: it is not
	second bool   // of version 2
}

func newGroup(name string) (group, error) {
	g := group{dir: "/sys/fs/cgroup/cpuacct"}
	if _, err := os.Stat(g.dir + "/cpuacct.usage"); err != nil {
		g = group{dir: "/sys/fs/cgroup", second: true}
		if _, err := os.Stat(g.dir + "/cgroup.procs"); err != nil {
			return g, errors.New("find cgroups: neither cpuacct nor version 2 at /sys/fs/cgroup")
		}
	}
	name = fmt.Sprintf("lbctl-l7bench-%d-%s", os.Getpid(), name)
	g.dir = filepath.Join(g.dir, name)
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return g, fmt.Errorf("make cgroup: %w", err)
	}
	if kernel := filepath.Join("/sys/fs/cgroup/memory", name); !g.second && os.Mkdir(kernel, 0o755) == nil {
		g.kernel = kernel
	}
	return g, nil
}

// tasks are the files that a process joins the group by.
func (g group) tasks() []string {
	files := []string{filepath.Join(g.dir, "cgroup.procs")}
	if g.kernel != "" {
		files = append(files, filepath.Join(g.kernel, "cgroup.procs"))
	}
	return files
}

// cpu is the time spent by all who are or were in the group.
func (g group) cpu() (time.Duration, error) {
	if !g.second {
		text, err := os.ReadFile(g.dir + "/cpuacct.usage")
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		return time.Duration(n), err
	}
	text, err := os.ReadFile(g.dir + "/cpu.stat")
	if err != nil {
		return 0, err
	}
	var us int64
	if _, err := fmt.Sscanf(string(text), "usage_usec %d", &us); err != nil {
		return 0, fmt.Errorf("read %s: %w", g.dir, err)
	}
	return time.Duration(us) * time.Microsecond, nil
}

func (g group) pids() (pids []int) {
	text, _ := os.ReadFile(g.tasks()[0])
	for _, line := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(line); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// user is the time that those who are in the group now have spent outside the
// kernel.
func (g group) user() (sum time.Duration) {
	for _, pid := range g.pids() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		ticks, _ := strconv.ParseInt(fields[11], 10, 64)
		sum += time.Duration(ticks) * time.Second / 100
	}
	return sum
}

// memory is what the group has, in bytes.
type memory struct {
	own    int64 // proportional share of all processes: what is shared counts once
	kernel int64 // on their behalf: sockets, what waits for events; 0: not known
}

func (g group) memory() (m memory) {
	for _, pid := range g.pids() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		m.own += number(text, "Pss:") << 10
	}
	if g.second {
		text, _ := os.ReadFile(g.dir + "/memory.stat")
		m.kernel = number(text, "kernel")
	} else if g.kernel != "" {
		text, _ := os.ReadFile(g.kernel + "/memory.kmem.usage_in_bytes")
		m.kernel, _ = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	}
	return m
}

// number is what follows a name at the beginning of a line.
func number(text []byte, name string) int64 {
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}

func (g group) remove() {
	for _, dir := range []string{g.dir, g.kernel} {
		for i := 0; dir != "" && os.Remove(dir) != nil && i < 50; i++ {
			time.Sleep(20 * time.Millisecond)
		}
	}
}
