package traffic

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Conditions are the circumstances without which a figure means nothing. The
// caller of Compare fills the first block, Compare the second.
type Conditions struct {
	Lbctl       string   `json:"lbctl"`        // version
	BPFStats    bool     `json:"bpf_stats"`    // run-time statistics on: each XDP run pays two clock reads
	OffloadsOff []string `json:"offloads_off"` // "tx-checksum", on every link of the lab
	Notes       []string `json:"notes,omitempty"`

	Date       time.Time `json:"date"`
	Kernel     string    `json:"kernel"`
	CPUModel   string    `json:"cpu_model"`
	Cores      int       `json:"cores"`
	Memory     uint64    `json:"memory"` // bytes
	Go         string    `json:"go"`
	Mitigation []string  `json:"mitigations"` // "spectre_v2: Retpolines"; only those that are in force
	Order      string    `json:"order"`       // of the runs in a round
	Resolution string    `json:"resolution"`  // of the CPU figures
}

func (c Conditions) withMachine() Conditions {
	c.Date = time.Now().UTC().Truncate(time.Second)
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		c.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	var s unix.Sysinfo_t
	if unix.Sysinfo(&s) == nil {
		c.Memory = uint64(s.Totalram) * uint64(s.Unit)
	}
	c.CPUModel = cpuModel("/proc/cpuinfo")
	c.Cores = runtime.NumCPU()
	if t, err := machineTime(); err == nil {
		c.Cores = t.Cores // also those that a cpuset withholds from this process
	}
	c.Go = runtime.Version()
	c.Mitigation = mitigations("/sys/devices/system/cpu/vulnerabilities")
	c.Resolution = "machine: elapsed less idle time, steps of 10 ms (/proc/stat); processes: ns (CPU clock)"
	return c
}

func cpuModel(path string) string {
	data, _ := os.ReadFile(path)
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// mitigations lists what each BPF helper call and each system call pays for.
func mitigations(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	var in []string
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if what, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "Mitigation: "); ok {
			in = append(in, filepath.Base(f)+": "+what)
		}
	}
	return in
}
