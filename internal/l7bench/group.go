package main

import (
	"bufio"
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
	second bool // of version 2
}

func newGroup(name string) (group, error) {
	g := group{dir: "/sys/fs/cgroup/cpuacct"}
	if _, err := os.Stat(g.dir + "/cpuacct.usage"); err != nil {
		g = group{dir: "/sys/fs/cgroup", second: true}
		if _, err := os.Stat(g.dir + "/cgroup.procs"); err != nil {
			return g, errors.New("find cgroups: neither cpuacct nor version 2 at /sys/fs/cgroup")
		}
	}
	g.dir = filepath.Join(g.dir, fmt.Sprintf("lbctl-l7bench-%d-%s", os.Getpid(), name))
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return g, fmt.Errorf("make cgroup: %w", err)
	}
	return g, nil
}

func (g group) tasks() string { return filepath.Join(g.dir, "cgroup.procs") }

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
	text, _ := os.ReadFile(g.tasks())
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

// memory is the proportional share of all processes, in bytes: what is shared
// counts once.
func (g group) memory() (sum int64) {
	for _, pid := range g.pids() {
		f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		for in := bufio.NewScanner(f); in.Scan(); {
			var kb int64
			if n, _ := fmt.Sscanf(in.Text(), "Pss: %d kB", &kb); n == 1 {
				sum += kb << 10
			}
		}
		f.Close()
	}
	return sum
}

func (g group) remove() {
	for range 50 {
		if os.Remove(g.dir) == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
