package ipvsadm

import (
	"net/netip"
	"strconv"
	"strings"
)

// rule prints a service as the command lines that make it.
func (p *printer) rule(s Service) {
	name := p.ruleName(s)
	p.printf("-A %s -s %s", name, s.Scheduler)
	if s.Flags&Persistent != 0 {
		p.printf(" -p %d", s.Timeout)
		if mask := s.mask(); mask != "" {
			p.printf(" -M %s", mask)
		}
	}
	if s.PE != "" {
		p.printf(" --pe %s", s.PE)
	}
	if s.Flags&OnePacket != 0 {
		p.printf(" -o")
	}
	if s.Flags&schedFlags != 0 {
		p.printf(" -b %s", s.schedFlags())
	}
	p.WriteByte('\n')
	for _, d := range p.dests(s) {
		p.printf("-a %s -r %s %s -w %d", name, p.names.text(d.Addr, s.protocol(), p.numeric()), d.Forward.option(), int32(d.Weight))
		if d.Forward == Tunnel {
			p.printf(" --tun-type %s", d.Tunnel)
			if d.Tunnel == GUE {
				p.printf(" --tun-port %d", d.TunnelPort)
			}
			if d.Tunnel != IPIP {
				p.printf(" %s", d.Checksum.option())
			}
		}
		p.WriteByte('\n')
	}
}

func (p *printer) ruleName(s Service) string {
	if s.Mark == 0 {
		return s.Proto.option() + " " + p.names.text(s.address(), s.Proto, p.numeric())
	}
	name := "-f " + strconv.Itoa(int(int32(s.Mark))) // signed: above 2^31-1 it cannot be restored
	if s.Six {
		name += " -6"
	}
	return name
}

func (s Service) address() netip.AddrPort { return netip.AddrPortFrom(s.Addr, s.Port) }

// protocol is the one by which ports of destinations are named: a firewall mark has none.
func (s Service) protocol() Proto {
	if s.Mark != 0 {
		return NoProto
	}
	return s.Proto
}

// mask is the granularity of persistence, empty if that is a single address.
func (s Service) mask() string {
	switch {
	case s.Six && s.Prefix != 128:
		return strconv.Itoa(int(s.Prefix))
	case !s.Six && s.Mask.IsValid() && s.Mask != netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return s.Mask.String()
	}
	return ""
}

// schedFlags lists the flags by the names that the scheduler gives them.
func (s Service) schedFlags() string {
	names, ok := schedFlagNames[s.Scheduler]
	if !ok {
		names = schedFlagNames[""]
	}
	var list []string
	for i, name := range names {
		if s.Flags&(Sched1<<i) != 0 && name != "" {
			list = append(list, name)
		}
	}
	return strings.Join(list, ",")
}
