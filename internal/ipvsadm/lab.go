package ipvsadm

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"lbctl/internal/lb"
)

// FromServices shows the L4 services among these as a table, save those without
// a VIP: to ipvsadm a prefix is nothing that a service can have. The same
// services come back from it with Services.
func FromServices(services []lb.Service) []Service {
	var out []Service
	for _, v := range services {
		if !shown(v) {
			continue
		}
		s := Service{Key: keyOf(v.VIP), Scheduler: string(v.Policy), Prefix: 128}
		if !s.Six {
			s.Prefix = 0
		}
		if v.L4.Fallback {
			s.Flags |= Sched1
		}
		if v.L4.Ports {
			s.Flags |= Sched2
		}
		for _, b := range slices.Backward(v.Backends) {
			s.Dests = append(s.Dests, Dest{Addr: unmap(b.Addr), Forward: forwards[v.Forward], Weight: b.Weight})
		}
		out = append(out, s)
	}
	return out
}

func keyOf(v lb.VIP) Key {
	addr := unmap(v.Addr)
	k := Key{Proto: TCP, Addr: addr.Addr(), Port: addr.Port(), Six: !addr.Addr().Is4()}
	if v.Proto == lb.UDP {
		k.Proto = UDP
	}
	return k
}

func (k Key) vip() lb.VIP {
	v := lb.VIP{Addr: netip.AddrPortFrom(k.Addr, k.Port), Proto: lb.TCP}
	if k.Proto == UDP {
		v.Proto = lb.UDP
	}
	return v
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// To ipvsadm full NAT is masquerading: it has no word for the difference.
var forwards = map[lb.Forward]Forward{lb.DirectRouting: Route, lb.NAT: Masq, lb.FullNAT: Masq, lb.Tunnel: Tunnel}

var forwardWords = map[Forward]lb.Forward{Route: lb.DirectRouting, Masq: lb.NAT, Tunnel: lb.Tunnel}

func shown(v lb.Service) bool { return v.Plane == lb.L4 && v.VIP.Addr.IsValid() }

// Services puts a table back into a configuration: services that no table shows
// stay, L4 services become those of the table. A service or backend that stays
// keeps what a table does not tell; a new one takes that, and its name, from
// the one in known with its address.
func Services(table []Service, current, known []lb.Service) []lb.Service {
	var out []lb.Service
	for _, v := range current {
		if !shown(v) {
			out = append(out, v)
		}
	}
	for _, s := range table {
		out = append(out, s.service(current, known, out))
	}
	return out
}

func (s Service) service(current, known, others []lb.Service) lb.Service {
	v, ok := withVIP(current, s.Key)
	if !ok {
		if v, ok = withVIP(known, s.Key); !ok || named(others, v.Name) {
			v = lb.Service{Name: freeName(s.vip(), current, others)}
		}
		v.Backends = nil
	}
	v.Plane, v.VIP, v.Policy = lb.L4, s.vip(), lb.Policy(s.Scheduler)
	v.L4.Fallback, v.L4.Ports = s.Flags&Sched1 != 0, s.Flags&Sched2 != 0
	if len(s.Dests) == 0 && v.Forward == "" {
		v.Forward = lb.DirectRouting
	}
	was := v.Backends
	v.Backends = []lb.Backend{}
	for _, d := range slices.Backward(s.Dests) {
		if forwards[v.Forward] != d.Forward || v.Forward == "" {
			v.Forward = forwardWords[d.Forward]
		}
		i := slices.IndexFunc(was, func(b lb.Backend) bool { return unmap(b.Addr) == d.Addr })
		b := lb.Backend{Addr: d.Addr}
		if i >= 0 {
			b = was[i]
		} else {
			b.Name = backendName(d.Addr, v, slices.Concat(current, known), slices.Concat(was, v.Backends))
		}
		b.Weight = d.Weight
		v.Backends = append(v.Backends, b)
	}
	return v
}

func withVIP(services []lb.Service, k Key) (lb.Service, bool) {
	for _, v := range services {
		if shown(v) && keyOf(v.VIP) == k {
			return v, true
		}
	}
	return lb.Service{}, false
}

func named(services []lb.Service, name string) bool {
	return slices.ContainsFunc(services, func(v lb.Service) bool { return v.Name == name })
}

// freeName is "tcp-198.18.3.1-80": a slash would part service and backend elsewhere.
func freeName(v lb.VIP, taken ...[]lb.Service) string {
	name := fmt.Sprintf("%s-%s-%d", v.Proto, v.Addr.Addr(), v.Addr.Port())
	for base, n := name, 2; named(slices.Concat(taken...), name); n++ {
		name = base + "-" + strconv.Itoa(n)
	}
	return name
}

// backendName is that of the node with the address, if a service knows it:
// "s1", or "s1:8080" off the service's port.
func backendName(addr netip.AddrPort, v lb.Service, services []lb.Service, taken []lb.Backend) string {
	for _, other := range services {
		for _, b := range other.Backends {
			if b.Addr.Addr().Unmap() != addr.Addr() {
				continue
			}
			name, _, _ := strings.Cut(b.Name, ":")
			if addr.Port() != v.VIP.Addr.Port() {
				name += ":" + strconv.Itoa(int(addr.Port()))
			}
			if !slices.ContainsFunc(taken, func(b lb.Backend) bool { return b.Name == name }) {
				return name
			}
		}
	}
	return addr.String()
}
