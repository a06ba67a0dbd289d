package ipvsadm

import (
	"errors"
	"net/netip"
	"slices"
)

// schedulers are those that the kernel has.
var schedulers = []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "fo", "ovf", "twos"}

// Do carries a change out, or fails as the kernel does and changes nothing. It
// is not for commands that list or restore.
func (t *Table) Do(c Command) error {
	at := t.service(c.Service.Key)
	switch c.Op {
	case Flush:
		t.Services = nil
		return nil
	case Zero:
		return t.zero(c, at)
	case SetTimeouts:
		t.setTimeouts(c.Timeouts)
		return nil
	case Add, Edit:
		return t.setService(c, at)
	case Delete:
		if at < 0 {
			return Refused("No such service")
		}
		t.Services = slices.Delete(t.Services, at, at+1)
		return nil
	case AddDest, EditDest, DeleteDest:
		return t.setDest(c, at)
	case StopDaemon:
		return Refused("No daemon is running")
	}
	return Refused("Operation not supported")
}

func (t *Table) setService(c Command, at int) error {
	switch {
	case c.Op == Add && at >= 0:
		return Refused("Service already exists")
	case c.Op == Edit && at < 0:
		return Refused("No such service")
	case !slices.Contains(schedulers, c.Service.Scheduler), c.Service.PE != "" && c.Service.PE != "sip":
		return Refused("Scheduler or persistence engine not found")
	}
	s := c.Service
	if c.Op == Edit {
		s.Dests, s.Stats = t.Services[at].Dests, t.Services[at].Stats
	}
	return t.put(s, at)
}

func (t *Table) setDest(c Command, at int) error {
	if at < 0 {
		return Refused("Service not defined")
	}
	s := t.Services[at]
	s.Dests = slices.Clone(s.Dests)
	d := c.Dest
	i := s.dest(d.Addr)
	switch {
	case c.Op != DeleteDest && d.Lower > d.Upper:
		return Refused("Numerical result out of range")
	case c.Op == AddDest && i >= 0:
		return Refused("Destination already exists")
	case c.Op != AddDest && i < 0:
		return Refused("No such destination")
	case c.Op == AddDest && !unicast(d.Addr.Addr()):
		return Refused("Invalid operation.  Possibly wrong module version, address not unicast, ...")
	}
	switch c.Op {
	case AddDest:
		s.Dests = slices.Insert(s.Dests, 0, d)
	case EditDest:
		was := s.Dests[i]
		d.Active, d.Inactive, d.Persistent, d.Stats = was.Active, was.Inactive, was.Persistent, was.Stats
		s.Dests[i] = d
	case DeleteDest:
		s.Dests = slices.Delete(s.Dests, i, i+1)
	}
	return t.put(s, at)
}

// put stores a service unless it is refused.
func (t *Table) put(s Service, at int) error {
	if t.Refuse != nil {
		if err := t.Refuse(s); err != nil {
			var known *Error
			if errors.As(err, &known) {
				return known
			}
			return Refused("%s", err)
		}
	}
	if at < 0 {
		t.Services = append(t.Services, s)
		return nil
	}
	t.Services[at] = s
	return nil
}

// unicast leaves out what no route can make an address of one host. An IPv6
// address of a link is one on a link only, and IPVS has none to look on.
func unicast(a netip.Addr) bool {
	return !a.IsMulticast() && !a.IsUnspecified() && (a.Is4() || !a.IsLinkLocalUnicast())
}

func (t *Table) zero(c Command, at int) error {
	if !c.Options.Has(OptService) {
		for i := range t.Services {
			t.Services[i].zero()
		}
		return nil
	}
	if at < 0 {
		return Refused("No such service")
	}
	t.Services[at].zero()
	return nil
}

func (s *Service) zero() {
	s.Stats = Stats{}
	s.Dests = slices.Clone(s.Dests)
	for i := range s.Dests {
		s.Dests[i].Stats = Stats{}
	}
}

// setTimeouts leaves alone what is 0.
func (t *Table) setTimeouts(to Timeouts) {
	for _, c := range []struct {
		to   uint32
		into *uint32
	}{{to.TCP, &t.Timeouts.TCP}, {to.TCPFin, &t.Timeouts.TCPFin}, {to.UDP, &t.Timeouts.UDP}} {
		if c.to != 0 {
			*c.into = c.to
		}
	}
}
