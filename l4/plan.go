package l4

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lbctl/internal/ipvs"
	"lbctl/internal/lb"
)

// wanted is one service of a Snapshot, fit for this plane.
type wanted struct {
	lb.Service
	forward xdpForward
	value   xdpService // what its options make of it; the rest is zero
	persist xdpPersistence
	hops    map[lb.BackendID]hop // of backends whose next hop is known
}

// plan picks the L4 services out of a Snapshot and refuses what this plane
// cannot do, before anything is changed.
func plan(s lb.Snapshot) ([]*wanted, error) {
	var out []*wanted
	var ours []lb.Service
	var errs []error
	for _, v := range s.Services {
		if v.Plane != lb.L4 {
			continue
		}
		w, err := newWanted(v)
		if err == nil && slices.ContainsFunc(ours, func(o lb.Service) bool { return o.Name == v.Name }) {
			err = errors.New("there is another of that name")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("plan service %q: %w", v.Name, err))
			continue
		}
		out, ours = append(out, w), append(ours, v)
	}
	for _, c := range lb.Clashes(ours) {
		errs = append(errs, fmt.Errorf("plan service %q: %s", c.Service, c))
	}
	return out, errors.Join(errs...)
}

// What this plane can carry out.
var forwards = map[lb.Forward]xdpForward{
	lb.DirectRouting: xdpForwardDIRECT,
	lb.NAT:           xdpForwardNAT,
	lb.Tunnel:        xdpForwardTUNNEL,
	lb.FullNAT:       xdpForwardFULLNAT,
}

// isReplying reports whether backends' replies come back over the balancer.
func isReplying(f xdpForward) bool { return f == xdpForwardNAT || f == xdpForwardFULLNAT }

// keepers are the ways of forwarding that leave packets as they are, in full.
var keepers = map[xdpForward]string{xdpForwardDIRECT: "direct routing", xdpForwardTUNNEL: "tunnelling"}

// Validate reports what of a service this plane cannot do, nil if it can do it all.
func Validate(v lb.Service) error {
	_, known := policies[v.Policy]
	_, can := forwards[v.Forward]
	switch {
	case len(v.Name) > maxName:
		return fmt.Errorf("its name has %d bytes: want at most %d", len(v.Name), maxName)
	case !known:
		return fmt.Errorf("unknown policy %q: want one of %s", v.Policy, strings.Join(ipvs.Names(), ", "))
	case !can:
		return fmt.Errorf("forward %q: want dr, nat, tun or fullnat", v.Forward)
	}
	if err := validateTunnel(v); err != nil {
		return err
	}
	if err := validateMatches(v.Matches()); err != nil {
		return err
	}
	for _, b := range v.Backends {
		if err := validateBackend(v, b); err != nil {
			return fmt.Errorf("backend %q at %s: %w", b.Name, b.Addr, err)
		}
	}
	if err := validateQUIC(v); err != nil {
		return err
	}
	if err := validateSchedule(v); err != nil {
		return err
	}
	return validateOptions(v)
}

// maxName is what the maps keep of a name, by which a restarted daemon finds the service.
const maxName = len(xdpName{}.Text) - 1

func validateMatches(all []lb.Match) error {
	if len(all) == 0 {
		return errors.New("it has no VIP and nothing beside")
	}
	for _, m := range all {
		switch {
		case m.Proto != lb.TCP && m.Proto != lb.UDP:
			return fmt.Errorf("protocol %q: want tcp or udp", m.Proto)
		case !m.Prefix.IsValid() || m.Prefix.Addr().Is4In6():
			return fmt.Errorf("prefix %s: want one of IPv4 or IPv6", m.Prefix)
		case m.Prefix != m.Prefix.Masked():
			return fmt.Errorf("%s has bits set behind its length", m.Prefix)
		case m.First > m.Last || m.First == 0 && m.Last != 0:
			return fmt.Errorf("ports %d-%d: want the first one first, from 1, or 0-0 for any", m.First, m.Last)
		case m.Prefix.Addr().Is6() != all[0].Prefix.Addr().Is6():
			return fmt.Errorf("%s: want the family of %s", m, all[0])
		}
	}
	return nil
}

// validateBackend: a backend's port 0 is the one that the client asked for.
func validateBackend(v lb.Service, b lb.Backend) error {
	forward := forwards[v.Forward]
	if !b.Addr.Addr().IsValid() || forward != xdpForwardTUNNEL && b.Addr.Addr().Unmap().Is6() != v.Six() {
		return fmt.Errorf("want the family of %s", v.Matches()[0])
	}
	port, one := v.Port()
	switch {
	case isReplying(forward), b.Addr.Port() == 0:
		return nil
	case !one:
		return fmt.Errorf("%s keeps the port, and there are several: want port 0", keepers[forward])
	case b.Addr.Port() != port:
		return fmt.Errorf("%s keeps the port, want %d", keepers[forward], port)
	}
	return nil
}

func newWanted(v lb.Service) (*wanted, error) {
	if err := Validate(v); err != nil {
		return nil, err
	}
	seen := map[lb.BackendID]string{}
	for _, b := range v.Backends {
		switch other, taken := seen[b.ID]; {
		case b.ID == 0:
			return nil, fmt.Errorf("backend %q has no ID", b.Name)
		case taken:
			return nil, fmt.Errorf("backend %q has the ID of %q", b.Name, other)
		}
		seen[b.ID] = b.Name
	}
	persist, err := toPersistence(v.L4.Persist)
	if err != nil {
		return nil, err
	}
	if v.L4.QUIC {
		if err := validateServerIDs(v.Backends); err != nil {
			return nil, err
		}
	}
	return &wanted{
		Service: v, forward: forwards[v.Forward],
		value: optionsOf(v), persist: persist, hops: map[lb.BackendID]hop{},
	}, nil
}
