package ipvsadm

import (
	"net/netip"
	"time"

	"lbctl/internal/lb"
)

// guePort is what lb.Encapsulation means by no port; ipvsadm always names it.
const guePort = 6080

// show sets what a service's options are called by ipvsadm.
func (s *Service) show(o lb.L4Options) {
	if _, flags := schedFlagNames[s.Scheduler]; flags {
		if o.Fallback {
			s.Flags |= Sched1
		}
		if o.Ports {
			s.Flags |= Sched2
		}
	}
	if o.OnePacket {
		s.Flags |= OnePacket
	}
	if o.Persist.Timeout == 0 {
		return
	}
	s.Flags |= Persistent
	s.Timeout = uint32((o.Persist.Timeout + time.Second - 1) / time.Second)
	switch bits := o.Persist; {
	case s.Six && bits.Bits6 != 0:
		s.Prefix = bits.Bits6
	case !s.Six && bits.Bits4 != 0 && bits.Bits4 < 32:
		s.Mask = netmask(bits.Bits4)
	}
}

// apply changes, of what a service is told, what a command line has words for.
func (s Service) apply(o *lb.L4Options) {
	if _, flags := schedFlagNames[s.Scheduler]; flags {
		o.Fallback, o.Ports = s.Flags&Sched1 != 0, s.Flags&Sched2 != 0
	}
	o.OnePacket = s.Flags&OnePacket != 0
	if s.Flags&Persistent == 0 {
		o.Persist = lb.Persistence{Quiesce: o.Persist.Quiesce}
	} else {
		s.persist(&o.Persist)
	}
	if len(s.Dests) == 0 || s.Dests[0].Forward != Tunnel {
		return
	}
	kind, port := tunnelKinds[s.Dests[0].Tunnel], s.Dests[0].TunnelPort
	if shown, at := tunnelOf(o.Tunnel); shown != s.Dests[0].Tunnel || at != port {
		o.Tunnel = lb.Encapsulation{Kind: kind, Port: port}
	}
}

// persist leaves alone what says the same in other words.
func (s Service) persist(p *lb.Persistence) {
	was := Service{Key: s.Key, Prefix: 128}
	was.show(lb.L4Options{Persist: *p})
	if was.Timeout != s.Timeout || was.Flags&Persistent == 0 {
		p.Timeout = time.Duration(s.Timeout) * time.Second
	}
	if was.mask() == s.mask() {
		return
	}
	p.Bits4, p.Bits6 = 0, 0
	if s.Six {
		p.Bits6 = s.Prefix
	} else if bits, ok := prefixLength(s.Mask); ok {
		p.Bits4 = bits
	}
}

var tunnelKinds = map[TunnelType]lb.TunnelKind{IPIP: lb.IPIP, GUE: lb.GUE}

func tunnelOf(e lb.Encapsulation) (kind TunnelType, port uint16) {
	switch {
	case e.Kind != lb.GUE:
		return IPIP, 0
	case e.Port == 0:
		return GUE, guePort
	}
	return GUE, e.Port
}

func netmask(bits uint8) netip.Addr {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), int(bits)).Masked().Addr()
}

// prefixLength counts the leading ones of a mask that has no others.
func prefixLength(mask netip.Addr) (bits uint8, ok bool) {
	if !mask.Is4() {
		return 0, false
	}
	m := word(mask, 0)
	for m&(1<<31) != 0 {
		m <<= 1
		bits++
	}
	return bits, m == 0 && bits > 0
}
