package ipvsadm

import (
	"slices"

	"lbctl/internal/lb"
)

// Plane is what an L4 plane can do of what ipvsadm can ask for.
type Plane struct {
	Policies  []lb.Policy
	Forwards  []lb.Forward
	Protocols []lb.Protocol
	IPv6      bool
}

// Refuse says why the plane cannot do a service; it is a Table's Refuse.
func (p Plane) Refuse(s Service) error {
	for _, refuse := range []func(Service) error{p.refuseKey, p.refuseScheduler, p.refuseFlags} {
		if err := refuse(s); err != nil {
			return err
		}
	}
	for _, d := range s.Dests {
		if err := p.refuseDest(s, d); err != nil {
			return err
		}
	}
	return nil
}

func (p Plane) refuseKey(s Service) error {
	proto := map[Proto]lb.Protocol{TCP: lb.TCP, UDP: lb.UDP}[s.Proto]
	switch {
	case s.Mark != 0:
		return Refused("Operation not supported: the l4 plane sees packets before a firewall can mark them")
	case !slices.Contains(p.Protocols, proto):
		return Refused("Operation not supported: lbctl ipvsadm sets up no %s so far", s.Proto)
	case s.Six && !p.IPv6:
		return Refused("Operation not supported: lbctl ipvsadm sets up IPv4 only so far")
	}
	return nil
}

func (p Plane) refuseScheduler(s Service) error {
	if !slices.Contains(p.Policies, lb.Policy(s.Scheduler)) {
		return Refused("Scheduler or persistence engine not found: the l4 plane has no %s so far; name one of %s with -s", s.Scheduler, list(p.Policies))
	}
	hashes := s.Scheduler == string(lb.SourceHash) || s.Scheduler == string(lb.Maglev)
	if flags := s.Flags & schedFlags; flags == 0 || hashes && flags&^(Sched1|Sched2) == 0 {
		return nil
	}
	return Refused("Operation not supported: the l4 plane has no scheduler flags %s for %s", s.schedFlags(), s.Scheduler)
}

func (p Plane) refuseFlags(s Service) error {
	switch {
	case s.Flags&Persistent != 0:
		return Refused("Operation not supported: the l4 plane has no persistence so far; sh keeps a client's address on one server")
	case s.PE != "":
		return Refused("Operation not supported: the l4 plane has no persistence engines")
	case s.Flags&OnePacket != 0:
		return Refused("Operation not supported: the l4 plane has no one-packet scheduling so far")
	}
	return nil
}

func (p Plane) refuseDest(s Service, d Dest) error {
	switch {
	case !slices.Contains(p.Forwards, forwardWords[d.Forward]):
		return Refused("Operation not supported: lbctl ipvsadm sets up no %s so far, but %s", d.Forward, list(p.Forwards))
	case d.Forward != s.Dests[0].Forward:
		return Refused("Operation not supported: all servers of a service are forwarded to alike, here by %s and %s", s.Dests[0].Forward, d.Forward)
	case d.Forward == Tunnel && d.Tunnel != IPIP:
		return Refused("Operation not supported: the l4 plane has no %s tunnels so far", d.Tunnel)
	case d.Upper != 0 || d.Lower != 0:
		return Refused("Operation not supported: the l4 plane has no connection thresholds so far")
	case d.Addr.Addr().Is4() == s.Six:
		return Refused("Operation not supported: the l4 plane keeps to one address family so far")
	}
	return nil
}

func list[T ~string](words []T) string {
	text := ""
	for i, w := range words {
		if i > 0 {
			text += ", "
		}
		text += string(w)
	}
	return text
}
