package l4

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// IdleAfter is how long a flow counts as active without a packet: the timeout
// that IPVS has for established TCP connections.
const IdleAfter = 900 * time.Second

// jiffies returns how many of the kernel's ticks d is. A tick is the resolution
// of the coarse clock, by definition (kernel/time/posix-timers.c).
func jiffies(d time.Duration) (uint64, error) {
	var tick unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &tick); err != nil {
		return 0, fmt.Errorf("get length of a jiffy: %w", err)
	}
	return uint64(d / time.Duration(tick.Nano())), nil
}

// now reads the program's clock, which no system call tells.
func now(clock *ebpf.Program) (uint64, error) {
	var out [8]byte
	if _, err := clock.Run(&ebpf.RunOptions{Context: out[:], ContextOut: out[:]}); err != nil {
		return 0, fmt.Errorf("read jiffies: %w", err)
	}
	return binary.NativeEndian.Uint64(out[:]), nil
}
