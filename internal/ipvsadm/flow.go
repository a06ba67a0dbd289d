package ipvsadm

import (
	"encoding/binary"
	"math"
	"net/netip"

	"lbctl/internal/lb"
)

// FromFlow shows a flow as a connection. mark is its service's, 0 if that has
// none: a client that sticks to a backend does so at all the group's addresses,
// in whose place the kernel puts the mark (ip_vs_sched_persist in ip_vs_core.c).
func FromFlow(f lb.Flow, mark uint32) Conn {
	c := Conn{
		Proto: TCP, State: f.State, Expires: uint32(min(f.Expires.Seconds(), math.MaxUint32)),
		Client: unmap(f.Client), Virtual: unmap(f.VIP), Dest: unmap(f.Backend),
	}
	if f.Proto == lb.UDP {
		c.Proto = UDP
	}
	if f.Sticky && mark != 0 {
		c.Proto, c.Virtual = NoProto, markAddress(mark, c.Client.Addr().Is6())
		c.Dest = netip.AddrPortFrom(c.Dest.Addr(), 0)
	}
	return c
}

// markAddress has the mark in its first word.
func markAddress(mark uint32, six bool) netip.AddrPort {
	var addr [16]byte
	binary.BigEndian.PutUint32(addr[:], mark)
	if six {
		return netip.AddrPortFrom(netip.AddrFrom16(addr), 0)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(addr[:4])), 0)
}
