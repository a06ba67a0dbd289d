package ipvs

import (
	"fmt"
	"net/netip"
	"time"
)

// Counters and thresholds. Kernel: net/netfilter/ipvs/ip_vs_conn.c
// (ip_vs_bind_dest, ip_vs_unbind_dest) and ip_vs_ctl.c (__ip_vs_update_dest).
//
// A flow begins as inactive. The state machine of its protocol then makes it
// active or not, within the same packet for TCP: a SYN already counts as active,
// FIN_WAIT, TIME_WAIT and CLOSE do not. UDP stays inactive for ever.
//
// The overload mark is set when a backend has Upper flows or more and taken off
// when it has fewer than Lower, or than Upper less a quarter; in between it stays
// as it is. It is looked at when a flow begins or ends and when an administrator
// changes a threshold. (That last is since 2026, "ipvs: properly update the
// overload flag on dest edit", also in Debian 12's 6.1.187. Before, lowering Upper
// below what a backend had did not mark it before the next flow began.)

// Flow is what the balancer remembers of a connection.
type Flow struct {
	backend *backend
	active  bool
	closed  bool
}

// Connect chooses a backend and opens a flow to it, as the kernel does for the
// first packet; false if no backend takes anything new.
func (s *Scheduler) Connect(p Packet, now time.Duration) (*Flow, bool) {
	d := s.policy.choose(s, p, now)
	if d == nil {
		return nil, false
	}
	return open(d), true
}

// Open opens a flow to a member, whatever the scheduler would choose.
func (s *Scheduler) Open(to netip.AddrPort) (*Flow, error) {
	i := s.find(to)
	if i < 0 {
		return nil, fmt.Errorf("open flow to %s: %w", to, ErrNotFound)
	}
	return open(s.backends[i]), nil
}

func open(d *backend) *Flow {
	d.inactive++
	d.judge()
	return &Flow{backend: d}
}

// To returns the backend's address.
func (f *Flow) To() netip.AddrPort { return f.backend.addr }

// SetActive moves an open flow from the inactive to the active ones or back.
func (f *Flow) SetActive(active bool) {
	if f.closed || f.active == active {
		return
	}
	f.active = active
	step := int32(1)
	if !active {
		step = -1
	}
	f.backend.active += step
	f.backend.inactive -= step
}

// Close ends the flow: it expired. Closing it again does nothing.
func (f *Flow) Close() {
	if f.closed {
		return
	}
	f.closed = true
	d := f.backend
	if f.active {
		d.active--
	} else {
		d.inactive--
	}
	if d.overloaded {
		d.judge()
	}
}

// judge sets or takes off the overload mark, by the thresholds.
func (d *backend) judge() {
	lower := d.lower
	if lower == 0 {
		lower = d.upper - d.upper/4
	}
	switch flows := uint32(d.active + d.inactive); {
	case d.upper == 0:
		d.overloaded = false
	case flows >= d.upper:
		d.overloaded = true
	case flows < lower:
		d.overloaded = false
	}
}

// update sets what the administrator says of the backend.
func (d *backend) update(b Backend) {
	d.weight = int32(b.Weight)
	d.available = true
	if d.upper != b.Upper || d.lower != b.Lower {
		d.upper, d.lower = b.Upper, b.Lower
		d.judge()
	}
}

// takes reports whether the backend takes something new.
func (d *backend) takes() bool { return d.weight > 0 && !d.overloaded }

// overhead weighs an active flow as 256 inactive ones (ip_vs_dest_conn_overhead
// in include/net/ip_vs.h).
func (d *backend) overhead() int32 { return d.active<<8 + d.inactive }
