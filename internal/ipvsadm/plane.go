package ipvsadm

import "lbctl/internal/lb"

// Plane says what an L4 plane can do of what ipvsadm can ask for: all that has a
// word in lb and that the plane accepts.
type Plane struct {
	// Validate is the plane's own verdict on a service.
	Validate func(lb.Service) error
	// Known are services by which firewall marks are looked up, as for Services.
	Known []lb.Service
}

// Refuse says why the plane cannot do a service; it is a Table's Refuse.
func (p Plane) Refuse(s Service) error {
	for _, refuse := range []func(Service) error{p.refuseKey, p.refuseFlags, p.refuseDests} {
		if err := refuse(s); err != nil {
			return err
		}
	}
	if err := p.Validate(s.service(nil, p.Known, nil)); err != nil {
		return Refused("Operation not supported: %s", err)
	}
	return nil
}

func (p Plane) refuseKey(s Service) error {
	if s.Mark != 0 {
		if _, ok := withKey(p.Known, s.Key); !ok {
			return Refused("Operation not supported: no service of the configuration bears the mark %d for %s; it would say which addresses that is", s.Mark, s.familyName())
		}
		return nil
	}
	if s.Proto != TCP && s.Proto != UDP {
		return Refused("Operation not supported: the l4 plane forwards TCP and UDP, no %s", s.Proto)
	}
	return nil
}

func (p Plane) refuseFlags(s Service) error {
	flags := s.Flags & schedFlags
	switch _, named := schedFlagNames[s.Scheduler]; {
	case s.PE != "":
		return Refused("Operation not supported: the l4 plane has no persistence engines")
	case flags != 0 && !named, flags&Sched3 != 0:
		return Refused("Operation not supported: scheduler %s does nothing by the flag %s", s.Scheduler, s.schedFlags())
	}
	if _, ok := prefixLength(s.Mask); s.Mask.IsValid() && !ok {
		return Refused("Operation not supported: the l4 plane takes prefixes for netmasks, and %s is none", s.Mask)
	}
	return nil
}

func (p Plane) refuseDests(s Service) error {
	for _, d := range s.Dests {
		first := s.Dests[0]
		switch {
		case d.Forward != first.Forward:
			return Refused("Operation not supported: all servers of a service are forwarded to alike, here by %s and %s", d.Forward, first.Forward)
		case d.Forward != Tunnel:
		case d.Tunnel == GRE:
			return Refused("Operation not supported: the l4 plane has no gre tunnels")
		case d.Checksum != NoChecksum:
			return Refused("Operation not supported: the l4 plane's tunnels have no checksums of their own: leave %s out", d.Checksum.option())
		case d.Tunnel != first.Tunnel || d.TunnelPort != first.TunnelPort:
			return Refused("Operation not supported: all servers of a service have one kind of tunnel, here %s and %s", d.tunnelInfo(), first.tunnelInfo())
		}
	}
	return nil
}

func (k Key) familyName() string {
	if k.Six {
		return "IPv6"
	}
	return "IPv4"
}
