package ctl

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"lbctl/healthcheck"
	"lbctl/internal/lb"
	"lbctl/l4"
)

var policies = []lb.Policy{
	lb.RoundRobin, lb.WeightedRoundRobin, lb.LeastConn, lb.WeightedLeastConn, lb.SourceHash, lb.Maglev, lb.ShortestDelay, lb.NeverQueue,
	lb.Failover, lb.Overflow, lb.TwoChoices, lb.DestinationHash, lb.LocalityLeastConn, lb.LocalityReplicated,
	lb.PowerOfTwo, lb.PeakEWMA, lb.Random, lb.KeyHash, lb.First,
}

// validate refuses a configuration that contradicts itself, or that holds what
// its plane cannot do, with every fault it has.
func validate(config lb.Config, planes ...Plane) error {
	v := validator{checks: map[string]lb.Check{}, services: map[string]bool{}, marks: map[markKey]string{}}
	for _, c := range config.Checks {
		v.check(c)
	}
	if err := l4.ValidateTimeouts(config.Timeouts); err != nil {
		v.fault(true, "timeouts: %s", err)
	}
	for _, c := range lb.Clashes(config.Services) {
		v.fault(true, "service %q: %s", c.Service, c)
	}
	l7 := map[string]bool{}
	for _, svc := range config.Services {
		l7[svc.Name] = svc.Plane == lb.L7
	}
	for _, svc := range config.Services {
		v.service(svc)
		for i, r := range svc.Routes {
			v.fault(r.Service != "" && !l7[r.Service], "service %q: route %d: there is no l7 service %q", svc.Name, i+1, r.Service)
		}
		here := func(p Plane) bool { return p.Name == svc.Plane }
		v.fault(len(planes) > 0 && !slices.ContainsFunc(planes, here), "service %q: there is no plane %s here", svc.Name, svc.Plane)
		for _, p := range planes {
			if p.Name != svc.Plane || p.Validate == nil {
				continue
			}
			if err := p.Validate(svc); err != nil {
				v.fault(true, "service %q: plane %s cannot do this: %s", svc.Name, p.Name, err)
			}
		}
	}
	if len(v.faults) == 0 {
		return nil
	}
	p := problem(http.StatusUnprocessableEntity, "configuration refused: %s", strings.Join(v.faults, "; "))
	p.Errors = v.faults
	return p
}

type validator struct {
	faults   []string
	checks   map[string]lb.Check
	services map[string]bool
	marks    map[markKey]string // services by these
}

// markKey names a service to ipvsadm: one of each family may have a mark.
type markKey struct {
	mark uint32
	six  bool
}

func (v *validator) fault(bad bool, format string, args ...any) {
	if bad {
		v.faults = append(v.faults, fmt.Sprintf(format, args...))
	}
}

func (v *validator) check(c lb.Check) {
	v.fault(c.Name == "", "a check has no name")
	_, twice := v.checks[c.Name]
	v.fault(twice, "check %q is there twice", c.Name)
	v.checks[c.Name] = c
	if err := healthcheck.Validate(c); err != nil {
		v.fault(true, "%s", err)
	}
}

func (v *validator) service(s lb.Service) {
	v.fault(s.Name == "", "a service has no name")
	v.fault(v.services[s.Name], "service %q is there twice", s.Name)
	v.services[s.Name] = true
	v.fault(s.Plane != lb.L4 && s.Plane != lb.L7, "service %q: plane %q: want l4 or l7", s.Name, s.Plane)
	v.address(s)
	v.mark(s)
	v.fault(!slices.Contains(policies, s.Policy), "service %q: policy %q is unknown", s.Name, s.Policy)
	_, known := v.checks[s.Check]
	v.fault(s.Check != "" && !known, "service %q: there is no check %q", s.Name, s.Check)
	v.backends(s)
}

// address: l4 takes more than one address and port, each plane says what of it.
func (v *validator) address(s lb.Service) {
	if s.Plane == lb.L4 && len(s.L4.Also) > 0 && !s.VIP.Addr.IsValid() {
		return
	}
	if s.Plane == lb.L7 && s.VIP == (lb.VIP{}) && len(s.L4.Also) == 0 { // only routes lead to it
		return
	}
	port := s.VIP.Addr.Port() != 0 || s.Plane == lb.L4
	v.fault(!s.VIP.Addr.IsValid() || !port, "service %q: vip %s: want an address and a port", s.Name, s.VIP)
	v.fault(s.VIP.Proto != lb.TCP && s.VIP.Proto != lb.UDP, "service %q: protocol %q: want tcp or udp", s.Name, s.VIP.Proto)
}

func (v *validator) mark(s lb.Service) {
	if s.L4.Mark == 0 {
		return
	}
	key := markKey{s.L4.Mark, s.Six()}
	other, taken := v.marks[key]
	v.fault(taken, "service %q: mark %d is service %q's already", s.Name, s.L4.Mark, other)
	v.marks[key] = s.Name
}

func (v *validator) backends(s lb.Service) {
	names, addrs := map[string]bool{}, map[string]bool{}
	for _, b := range s.Backends {
		addr := b.Addr.String()
		v.fault(b.Name == "", "service %q: backend %s has no name", s.Name, addr)
		v.fault(names[b.Name], "service %q: backend %q is there twice", s.Name, b.Name)
		v.fault(addrs[addr], "service %q: two backends at %s", s.Name, addr)
		keeps := b.Addr.Port() == 0 && s.Plane == lb.L4
		v.fault(!b.Addr.IsValid() || b.Addr.Port() == 0 && !keeps, "service %q: backend %q: address %s: want an address and a port", s.Name, b.Name, addr)
		v.fault(keeps && s.Check != "" && v.checks[s.Check].Port == 0, "service %q: backend %q at %s has no port of its own: check %q must say which to probe", s.Name, b.Name, addr, s.Check)
		v.fault(b.Weight > MaxWeight, "service %q: backend %q: weight %d: want 0 to %d", s.Name, b.Name, b.Weight, MaxWeight)
		names[b.Name], addrs[addr] = true, true
	}
}
