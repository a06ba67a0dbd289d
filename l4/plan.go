package l4

import (
	"errors"
	"fmt"

	"lbctl/internal/lb"
)

// wanted is one service of a Snapshot, fit for this plane.
type wanted struct {
	lb.Service
	key     xdpVip
	kind    xdpKeyKind
	forward xdpForward
	value   xdpService // what its options make of it; the rest is zero
	persist xdpPersistence
	hops    map[lb.BackendID]hop // of backends whose next hop is known
}

// plan picks the L4 services out of a Snapshot and refuses what this plane
// cannot do, before anything is changed.
func plan(s lb.Snapshot) ([]*wanted, error) {
	var out []*wanted
	var errs []error
	seen := map[xdpVip]string{}
	for _, v := range s.Services {
		if v.Plane != lb.L4 {
			continue
		}
		w, err := newWanted(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("plan service %q: %w", v.Name, err))
			continue
		}
		if other, taken := seen[w.key]; taken {
			errs = append(errs, fmt.Errorf("plan service %q: %s is service %q's already", v.Name, v.VIP, other))
			continue
		}
		seen[w.key] = v.Name
		out = append(out, w)
	}
	return out, errors.Join(errs...)
}

// What this plane can carry out.
var (
	keyKinds = map[lb.Policy]xdpKeyKind{
		lb.RoundRobin:         xdpKeyKindTURN,
		lb.WeightedRoundRobin: xdpKeyKindTURN,
		lb.SourceHash:         xdpKeyKindSOURCE,
		lb.Maglev:             xdpKeyKindCLIENT,
	}
	forwards = map[lb.Forward]xdpForward{
		lb.DirectRouting: xdpForwardDIRECT,
		lb.NAT:           xdpForwardNAT,
		lb.Tunnel:        xdpForwardTUNNEL,
	}
)

// keepers are the ways of forwarding that leave packets as they are, in full.
var keepers = map[xdpForward]string{xdpForwardDIRECT: "direct routing", xdpForwardTUNNEL: "tunnelling"}

// Validate reports what of a service this plane cannot do, nil if it can do it all.
func Validate(v lb.Service) error {
	_, known := keyKinds[v.Policy]
	forward, can := forwards[v.Forward]
	switch {
	case !known:
		return fmt.Errorf("policy %q has no table: want rr, wrr, sh or mh", v.Policy)
	case v.VIP.Proto != lb.TCP && v.VIP.Proto != lb.UDP:
		return fmt.Errorf("protocol %q: want tcp or udp", v.VIP.Proto)
	case !v.VIP.Addr.IsValid():
		return errors.New("it has no VIP")
	case v.VIP.Addr.Port() == 0:
		return fmt.Errorf("VIP %s: want a port", v.VIP)
	case !can:
		return fmt.Errorf("forward %q: want dr, nat or tun", v.Forward)
	}
	if err := validateTunnel(v); err != nil {
		return err
	}
	for _, b := range v.Backends {
		switch {
		case forward != xdpForwardTUNNEL && b.Addr.Addr().Unmap().Is4() != v.VIP.Addr.Addr().Unmap().Is4():
			return fmt.Errorf("backend %q at %s: want the family of %s", b.Name, b.Addr, v.VIP)
		case b.Addr.Port() == 0:
			return fmt.Errorf("backend %q at %s: want a port", b.Name, b.Addr)
		case forward != xdpForwardNAT && b.Addr.Port() != v.VIP.Addr.Port():
			return fmt.Errorf("backend %q at %s: %s keeps the port, want %d", b.Name, b.Addr, keepers[forward], v.VIP.Addr.Port())
		}
	}
	return validateOptions(v)
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
	return &wanted{
		Service: v, key: toVIP(v.VIP), kind: keyKinds[v.Policy], forward: forwards[v.Forward],
		value: optionsOf(v), persist: persist, hops: map[lb.BackendID]hop{},
	}, nil
}

// reachable returns the backends as the policy shall see them: one that is up
// but whose next hop is not known takes nothing new.
func (w *wanted) reachable() []lb.Backend {
	out := make([]lb.Backend, len(w.Backends))
	for i, b := range w.Backends {
		if _, known := w.hops[b.ID]; !known && b.Eligible() {
			b.Health = lb.Unknown
		}
		out[i] = b
	}
	return out
}
