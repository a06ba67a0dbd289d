package l4

import (
	"cmp"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Timeouts say after how long without a packet a flow is over.
type Timeouts struct {
	TCP time.Duration // of a connection: 900 s
	FIN time.Duration // of one that waits for the other end's FIN: 120 s
	UDP time.Duration // of datagrams between two ends: 300 s
}

// DefaultTimeouts are those that IPVS begins with (ip_vs_proto_tcp.c, _udp.c).
var DefaultTimeouts = Timeouts{TCP: 900 * time.Second, FIN: 120 * time.Second, UDP: 300 * time.Second}

// Those of the states that nobody sets (tcp_timeouts in ip_vs_proto_tcp.c).
const (
	openingTimeout   = 60 * time.Second
	closeWaitTimeout = 60 * time.Second
	timeWaitTimeout  = 120 * time.Second
	closedTimeout    = 10 * time.Second
)

// maxTimeout is beyond what anybody waits and within what the program's clock can tell.
const maxTimeout = 30 * 24 * time.Hour

// SetTimeouts changes how long flows are remembered, those that are there included.
// Zero ones stay as they are.
func (p *Plane) SetTimeouts(t Timeouts) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var s xdpSetting
	if err := p.objects.Settings.Lookup(uint32(0), &s); err != nil {
		return fmt.Errorf("read timeouts: %w", err)
	}
	if s.Timeouts == [xdpFlowStateFLOW_STATES]uint32{} {
		t = Timeouts{
			TCP: cmp.Or(t.TCP, DefaultTimeouts.TCP),
			FIN: cmp.Or(t.FIN, DefaultTimeouts.FIN),
			UDP: cmp.Or(t.UDP, DefaultTimeouts.UDP),
		}
	}
	for state, d := range t.byState() {
		if d < 0 || d > maxTimeout {
			return fmt.Errorf("set timeout %s: want at most %s", d, maxTimeout)
		}
		n, err := jiffies(d)
		if err != nil {
			return err
		}
		if d != 0 {
			s.Timeouts[state] = max(n, 1)
		}
	}
	if err := p.objects.Settings.Put(uint32(0), s); err != nil {
		return fmt.Errorf("write timeouts: %w", err)
	}
	return nil
}

// Timeouts returns those in force.
func (p *Plane) Timeouts() (Timeouts, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var s xdpSetting
	if err := p.objects.Settings.Lookup(uint32(0), &s); err != nil {
		return Timeouts{}, fmt.Errorf("read timeouts: %w", err)
	}
	tick, err := jiffy()
	return Timeouts{
		TCP: time.Duration(s.Timeouts[xdpFlowStateESTABLISHED]) * tick,
		FIN: time.Duration(s.Timeouts[xdpFlowStateFIN_WAIT]) * tick,
		UDP: time.Duration(s.Timeouts[xdpFlowStateDATAGRAMS]) * tick,
	}, err
}

// byState are the timeouts by the state of a flow.
func (t Timeouts) byState() map[xdpFlowState]time.Duration {
	return map[xdpFlowState]time.Duration{
		xdpFlowStateOPENING:     openingTimeout,
		xdpFlowStateESTABLISHED: t.TCP,
		xdpFlowStateFIN_WAIT:    t.FIN,
		xdpFlowStateCLOSE_WAIT:  closeWaitTimeout,
		xdpFlowStateTIME_WAIT:   timeWaitTimeout,
		xdpFlowStateCLOSED:      closedTimeout,
		xdpFlowStateDATAGRAMS:   t.UDP,
	}
}

// jiffy is the length of the kernel's tick: the resolution of the coarse clock,
// by definition (kernel/time/posix-timers.c).
func jiffy() (time.Duration, error) {
	var tick unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &tick); err != nil {
		return 0, fmt.Errorf("get length of a jiffy: %w", err)
	}
	return time.Duration(tick.Nano()), nil
}

// jiffies returns how many of the kernel's ticks d is.
func jiffies(d time.Duration) (uint32, error) {
	tick, err := jiffy()
	if err != nil {
		return 0, err
	}
	return uint32(d / tick), nil
}
