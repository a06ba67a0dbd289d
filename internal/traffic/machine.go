package traffic

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// userHZ is the unit of /proc/stat: 1/100 s on every architecture Go supports.
const userHZ = 100

// MachineTime is what all cores together spent, by /proc/stat, since boot or in
// a window, in steps of 10 ms.
//
// Only Idle and Steal are measured. The other fields are sampled when the timer
// ticks, unless the kernel has CONFIG_VIRT_CPU_ACCOUNTING_GEN, and work that is
// periodic itself, such as an open loop's, falls between the ticks or onto them:
// a process that uses half a core was seen to get anything from 0 to 100 %. Busy
// is therefore reckoned from Idle, which a tickless kernel keeps to the
// nanosecond (kernel/time/tick-sched.c, get_cpu_idle_time_us).
type MachineTime struct {
	User    time.Duration `json:"user"`
	Nice    time.Duration `json:"nice"`
	System  time.Duration `json:"system"`
	IRQ     time.Duration `json:"irq"`
	SoftIRQ time.Duration `json:"softirq"`
	Idle    time.Duration `json:"idle"`  // with iowait
	Steal   time.Duration `json:"steal"` // taken by the hypervisor; part of neither busy nor idle
	Cores   int           `json:"cores"` // that the other fields are sums over
}

// busy returns what cores spent on work of any kind, interrupts included, while
// elapsed went by.
func (t MachineTime) busy(elapsed time.Duration) time.Duration {
	return max(elapsed*time.Duration(t.Cores)-t.Idle-t.Steal, 0)
}

func (t MachineTime) since(from MachineTime) MachineTime {
	return MachineTime{
		t.User - from.User, t.Nice - from.Nice, t.System - from.System,
		t.IRQ - from.IRQ, t.SoftIRQ - from.SoftIRQ, t.Idle - from.Idle, t.Steal - from.Steal, t.Cores,
	}
}

func machineTime() (MachineTime, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return MachineTime{}, err
	}
	return parseMachineTime(data)
}

// parseMachineTime reads the first line of /proc/stat, see proc_stat(5):
// cpu user nice system idle iowait irq softirq steal guest guest_nice. Guest
// time is already part of user. The lines that follow, one per core, say how
// many cores it sums up; runtime.NumCPU would count only those that this process
// may use.
func parseMachineTime(stat []byte) (MachineTime, error) {
	line, perCore, _ := bytes.Cut(stat, []byte("\n"))
	f := bytes.Fields(line)
	if len(f) < 9 || string(f[0]) != "cpu" {
		return MachineTime{}, fmt.Errorf("parse /proc/stat: first line %q", line)
	}
	var v [8]time.Duration
	for i := range v {
		n, err := strconv.ParseInt(string(f[i+1]), 10, 64)
		if err != nil {
			return MachineTime{}, fmt.Errorf("parse /proc/stat: %w", err)
		}
		v[i] = time.Duration(n) * (time.Second / userHZ)
	}
	cores := 0
	for line := range bytes.Lines(perCore) {
		if !bytes.HasPrefix(line, []byte("cpu")) {
			break
		}
		cores++
	}
	return MachineTime{User: v[0], Nice: v[1], System: v[2], Idle: v[3] + v[4], IRQ: v[5], SoftIRQ: v[6], Steal: v[7], Cores: cores}, nil
}
