package l7

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what a process has taken up to now, those of its threads that have ended
// included; 0 if it is no more. It is the kernel's account, so a process need not keep
// one of its own, and one that rests does not fall behind.
func cpuTime(pid int) time.Duration {
	const scheduler = 2 // CPUCLOCK_SCHED: clock_getcpuclockid(3) does not ask the kernel either
	var ts unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|scheduler), &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
