package l4

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"lbctl/internal/lb"
)

// losts are the words for what becomes of a flow whose backend is gone.
var losts = map[lb.Lost]xdpLost{
	lb.LostMoves:   xdpLostMOVES,
	lb.LostDrops:   xdpLostDROPS,
	lb.LostExpires: xdpLostEXPIRES,
	lb.LostResets:  xdpLostRESETS,
}

// validateOptions reports what of a service's options this plane cannot do.
func validateOptions(v lb.Service) error {
	o := v.L4
	_, known := losts[o.Lost]
	switch {
	case !known:
		return fmt.Errorf("lost %q: want drop, expire or reset, or nothing", o.Lost)
	case o.Lost == lb.LostResets && v.VIP.Proto != lb.TCP:
		return errors.New("lost reset: only TCP has a RST")
	case o.OnePacket && v.VIP.Proto != lb.UDP:
		return errors.New("one_packet: want proto udp, for a TCP connection is more than one packet")
	case o.OnePacket && isReplying(forwards[v.Forward]):
		return fmt.Errorf("one_packet under %s: nothing is remembered, so no reply could be translated", v.Forward)
	case o.TOA && v.Forward != lb.FullNAT:
		return fmt.Errorf("toa: under %s backends see the client's address; it is for forward fullnat", v.Forward)
	case o.TOA && !speaks(v, lb.TCP):
		return errors.New("toa: it is an option of TCP, and the service has none")
	case o.Persist.Timeout < 0 || o.Persist.Timeout > maxTimeout:
		return fmt.Errorf("persistence timeout %s: want at most %s", o.Persist.Timeout, maxTimeout)
	case o.Persist.Timeout > 0 && o.Persist.Timeout < time.Second:
		return fmt.Errorf("persistence timeout %s: want a second or more", o.Persist.Timeout)
	case o.Persist.Bits4 > 32:
		return fmt.Errorf("persistence by %d bits of an IPv4 address: want 1 to 32", o.Persist.Bits4)
	case o.Persist.Bits6 > 128:
		return fmt.Errorf("persistence by %d bits of an IPv6 address: want 1 to 128", o.Persist.Bits6)
	}
	return validateDefence(v)
}

// speaks reports whether any of what a service is addressed by has that protocol.
func speaks(v lb.Service, proto lb.Protocol) bool {
	return slices.ContainsFunc(v.Matches(), func(m lb.Match) bool { return m.Proto == proto })
}

// optionsOf is what the options say in struct service.
func optionsOf(v lb.Service) xdpService {
	out := xdpService{Lost: losts[v.L4.Lost]}
	if v.L4.OnePacket {
		out.Flags |= xdpServiceFlagEACH_ANEW
	}
	if v.L4.QUIC {
		out.Flags |= xdpServiceFlagBY_CONNECTION_IDS
	}
	if v.L4.Ports {
		out.Flags |= xdpServiceFlagHASHES_PORTS
	}
	if v.L4.Fallback {
		out.Flags |= xdpServiceFlagFALLS_BACK
	}
	if v.L4.SYNCookies != lb.SYNCookiesNever || v.L4.SYNLimit != 0 {
		out.Flags |= xdpServiceFlagDEFENDED
	}
	return out
}

func toPersistence(p lb.Persistence) (xdpPersistence, error) {
	if p.Timeout == 0 {
		return xdpPersistence{}, nil
	}
	timeout, err := jiffies(p.Timeout)
	return xdpPersistence{
		Timeout: timeout,
		Mask4:   toMask(96 + int(cmp.Or(p.Bits4, 32))),
		Mask6:   toMask(int(cmp.Or(p.Bits6, 128))),
	}, err
}

// toMask has the first bits set.
func toMask(bits int) xdpAddress {
	ones, _ := netip.AddrFromSlice(net.CIDRMask(bits, 128))
	return toAddress(ones)
}

// setPersistence changes it at once: it refers to nothing.
func (p *Plane) setPersistence(v *service, w *wanted) error {
	var was xdpPersistence
	if err := p.objects.Persistences.Lookup(v.value.Index, &was); err != nil {
		return err
	}
	v.persists = w.persist.Timeout != 0
	if was == w.persist {
		return nil
	}
	return p.objects.Persistences.Put(v.value.Index, w.persist)
}

// sticks reports whether clients that the backend has may begin something new
// there. In IPVS they may at weight 0, unless expire_quiescent_template is set;
// one that is being drained takes nothing new from anybody.
func (w *wanted) sticks(b lb.Backend) bool {
	return b.Admin == lb.Enabled && (b.Weight > 0 || !w.L4.Persist.Quiesce)
}
