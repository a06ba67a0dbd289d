package scenario

import (
	"net/netip"

	"lbctl/internal/lb"
)

// l4Services resolves the services of a standalone balancer. Checks are resolved.
func (r *resolver) l4Services(typed Map[NodeName, L4ServiceSpec], able func(lb.Service) error) {
	if len(typed.Entries) == 0 {
		r.fail(typed.Pos, "", "services: want at least one")
	}
	if _, own := r.spec.Checks.named(defaultCheck); !own {
		r.known[defaultCheck] = r.check(defaultCheck, CheckSpec{Kind: Val[KindWord]{Value: "tcp", Pos: typed.Pos}})
	}
	vips := map[lb.VIP]string{}
	for _, e := range typed.Entries {
		before := len(r.errs)
		s := r.l4Service(e)
		if other, taken := vips[s.VIP]; taken {
			r.fail(e.Value.VIP.Pos, "", "vip: %s is that of service %s", s.VIP, other)
		}
		vips[s.VIP] = s.Name
		if len(r.errs) == before && able != nil {
			if err := able(s.Service); err != nil {
				r.fail(e.Key.Pos, "", "service %s: %v", s.Name, err)
			}
		}
		r.svcs = append(r.svcs, s)
	}
}

func (r *resolver) l4Service(e Entry[NodeName, L4ServiceSpec]) *service {
	spec := filled(e.Value)
	s := &service{at: e.Key.Pos, spec: ServiceSpec{Check: spec.Check}}
	s.Service = lb.Service{
		Name: string(e.Key.Value), Plane: lb.L4,
		VIP:     lb.VIP{Addr: spec.VIP.Value.AddrPort, Proto: lb.Protocol(spec.Proto.Value)},
		Forward: lb.Forward(spec.Forward.Value), Policy: lb.Policy(spec.Policy.Value),
		L4: spec.options(lb.Policy(spec.Policy.Value)),
	}
	if _, own := r.spec.Checks.named(defaultCheck); s.VIP.Proto == lb.UDP && !own && s.spec.Check == (CheckRef{}) {
		s.spec.Check.Name.Value = noCheck // a port of TCP says nothing about one of UDP
	}
	r.checkOf(s)
	names, addrs := map[string]bool{}, map[netip.AddrPort]bool{}
	for _, item := range spec.Backends.Items {
		b := r.l4Backend(item, s.VIP.Addr.Port())
		switch {
		case addrs[b.Addr]:
			r.fail(item.Address.Pos, "", "backends: service %s has %s twice", s.Name, b.Addr)
		case names[b.Name]:
			r.fail(item.Name.Pos, "", "name: service %s has a backend %s already", s.Name, b.Name)
		}
		names[b.Name], addrs[b.Addr] = true, true
		s.Backends = append(s.Backends, b)
	}
	return s
}

func (r *resolver) l4Backend(typed L4BackendSpec, port uint16) lb.Backend {
	spec := filled(typed)
	b := targeted(spec.Address.Value, port, spec.Name)
	b.Weight, b.Upper, b.Lower = uint32(spec.Weight.Value), uint32(spec.Upper.Value), uint32(spec.Lower.Value)
	if b.Lower > b.Upper {
		r.fail(spec.Lower.Pos, "", "lower: %d is above upper, %d", b.Lower, b.Upper)
	}
	return b
}

// targeted is a backend at an address, with a port if that is not its service's, and
// without a name of its own called so.
func targeted(target Target, port uint16, name Val[NodeName]) lb.Backend {
	b := lb.Backend{Name: target.Addr.String(), Addr: netip.AddrPortFrom(target.Addr, port)}
	if target.Port != 0 && target.Port != port {
		b.Addr = netip.AddrPortFrom(target.Addr, target.Port)
		b.Name = b.Addr.String()
	}
	if name.IsSet() {
		b.Name = string(name.Value)
	}
	return b
}

// named returns the entry of that name.
func (m Map[K, V]) named(name K) (entry Entry[K, V], ok bool) {
	for _, e := range m.Entries {
		if any(e.Key.Value) == any(name) {
			return e, true
		}
	}
	return entry, false
}
