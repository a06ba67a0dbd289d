package l4

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// Timeouts are lb's.
type Timeouts = lb.Timeouts

// DefaultTimeouts are those that IPVS begins with (ip_vs_proto_tcp.c, _udp.c).
var DefaultTimeouts = Timeouts{TCP: 900 * time.Second, FIN: 120 * time.Second, UDP: 300 * time.Second}

// Those of the states that nobody sets (tcp_timeouts in ip_vs_proto_tcp.c).
const (
	openingTimeout   = 60 * time.Second
	closeWaitTimeout = 60 * time.Second
	timeWaitTimeout  = 120 * time.Second
	closedTimeout    = 10 * time.Second
)

// maxTimeout is what the program's clock can tell: at 1000 jiffies a second, 31
// bits of them are 24.8 days.
const maxTimeout = 24 * 24 * time.Hour

// ValidateTimeouts reports which of them the plane cannot keep.
func ValidateTimeouts(t Timeouts) error {
	for _, d := range []time.Duration{t.TCP, t.FIN, t.UDP} {
		if d < 0 || d > maxTimeout {
			return fmt.Errorf("timeout %s: want at most %s", d, maxTimeout)
		}
	}
	return nil
}

// SetTimeouts changes how long flows are remembered, those that are there included.
// Zero ones stay as they are.
func (p *Plane) SetTimeouts(t Timeouts) error {
	if err := ValidateTimeouts(t); err != nil {
		return fmt.Errorf("set %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.setTimeouts(t)
}

// setTimeouts is SetTimeouts of valid ones; mu is held.
func (p *Plane) setTimeouts(t Timeouts) error {
	var s xdpSetting
	if err := p.objects.Settings.Lookup(uint32(0), &s); err != nil {
		return fmt.Errorf("read timeouts: %w", err)
	}
	was := s
	if s.Timeouts == [xdpFlowStateFLOW_STATES]uint32{} {
		t = t.Or(DefaultTimeouts)
	}
	for state, d := range byState(t) {
		n, err := jiffies(d)
		if err != nil {
			return err
		}
		if d != 0 {
			s.Timeouts[state] = max(n, 1)
		}
	}
	if s == was {
		return nil
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
func byState(t Timeouts) map[xdpFlowState]time.Duration {
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
