package l4

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Timeouts say after how long without a packet a flow is over.
type Timeouts struct {
	TCP time.Duration // of a connection; 0: 900 s
	FIN time.Duration // of one seen to end; 0: 120 s
	UDP time.Duration // of datagrams between two ends; 0: 300 s
}

// DefaultTimeouts are those that IPVS begins with (ip_vs_proto_tcp.c, _udp.c).
var DefaultTimeouts = Timeouts{TCP: 900 * time.Second, FIN: 120 * time.Second, UDP: 300 * time.Second}

func (t Timeouts) filled() Timeouts {
	return Timeouts{
		TCP: cmp.Or(t.TCP, DefaultTimeouts.TCP),
		FIN: cmp.Or(t.FIN, DefaultTimeouts.FIN),
		UDP: cmp.Or(t.UDP, DefaultTimeouts.UDP),
	}
}

// byState returns the timeouts in jiffies by the state of a flow.
func (t Timeouts) byState() (out [xdpFlowStateFLOW_STATES]uint64, err error) {
	for state, d := range map[xdpFlowState]time.Duration{
		xdpFlowStateOPENING: t.TCP, xdpFlowStateESTABLISHED: t.TCP, xdpFlowStateCLOSING: t.FIN, xdpFlowStateDATAGRAMS: t.UDP,
	} {
		if out[state], err = jiffies(d); err != nil {
			return out, err
		}
	}
	return out, nil
}

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
