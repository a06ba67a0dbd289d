package scoreboard

import (
	"time"

	"golang.org/x/sys/unix"
)

// The runtime reads the monotonic clock without a system call, but gives only
// differences; its zero is not another process's.
var (
	startTime = time.Now()
	startMono = clock(unix.CLOCK_MONOTONIC) - int64(time.Since(startTime))
)

// Now is the machine's monotonic clock in nanoseconds, the same in all processes.
func Now() int64 { return startMono + int64(time.Since(startTime)) }

// clock asks the kernel. It has these clocks, so there is no error.
func clock(id int32) int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(id, &ts)
	return ts.Nano()
}
