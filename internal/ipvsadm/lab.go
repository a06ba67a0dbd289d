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
// VIP and mark: to ipvsadm a prefix is nothing that a service can have. The same
// services come back from it with Services.
func FromServices(services []lb.Service) []Service {
	var out []Service
	for _, v := range services {
		if shown(v) {
			out = append(out, fromService(v))
		}
	}
	return out
}

func fromService(v lb.Service) Service {
	s := Service{Key: KeyOf(v), Scheduler: string(v.Policy)}
	if s.Six {
		s.Prefix = 128
	}
	s.show(v.L4)
	for _, b := range slices.Backward(v.Backends) {
		d := Dest{Addr: unmap(b.Addr), Forward: forwards[v.Forward], Weight: b.Weight, Upper: b.Upper, Lower: b.Lower}
		if d.Forward == Tunnel {
			d.Tunnel, d.TunnelPort = tunnelOf(v.L4.Tunnel)
		}
		s.Dests = append(s.Dests, d)
	}
	return s
}

// KeyOf names a service by its mark if it has one, else by its VIP.
func KeyOf(v lb.Service) Key {
	if v.L4.Mark != 0 {
		return Key{Mark: v.L4.Mark, Six: v.Six()}
	}
	addr := unmap(v.VIP.Addr)
	k := Key{Proto: TCP, Addr: addr.Addr(), Port: addr.Port(), Six: addr.Addr().Is6()}
	if v.VIP.Proto == lb.UDP {
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

var forwards = map[lb.Forward]Forward{lb.DirectRouting: Route, lb.NAT: Masq, lb.FullNAT: FullNAT, lb.Tunnel: Tunnel}

var forwardWords = map[Forward]lb.Forward{Route: lb.DirectRouting, Masq: lb.NAT, Tunnel: lb.Tunnel, FullNAT: lb.FullNAT}

func shown(v lb.Service) bool { return v.Plane == lb.L4 && (v.VIP.Addr.IsValid() || v.L4.Mark != 0) }

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
	v, ok := withKey(current, s.Key)
	if !ok {
		if v, ok = withKey(known, s.Key); !ok {
			v = lb.Service{VIP: s.vip()}
		}
		if !ok || named(others, v.Name) {
			v.Name = freeName(s.Key, current, others)
		}
		v.Backends = nil
	}
	v.Plane, v.Policy = lb.L4, lb.Policy(s.Scheduler)
	s.apply(&v.L4)
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
			b.Name = backendName(d.Addr, s.Port, slices.Concat(current, known), slices.Concat(was, v.Backends))
		}
		b.Weight, b.Upper, b.Lower = d.Weight, d.Upper, d.Lower
		v.Backends = append(v.Backends, b)
	}
	return v
}

func withKey(services []lb.Service, k Key) (lb.Service, bool) {
	for _, v := range services {
		if shown(v) && KeyOf(v) == k {
			return v, true
		}
	}
	return lb.Service{}, false
}

func named(services []lb.Service, name string) bool {
	return slices.ContainsFunc(services, func(v lb.Service) bool { return v.Name == name })
}

// freeName is "tcp-198.18.3.1-80": a slash would part service and backend elsewhere.
func freeName(k Key, taken ...[]lb.Service) string {
	name := fmt.Sprintf("%s-%s-%d", strings.ToLower(k.Proto.String()), k.Addr, k.Port)
	if k.Mark != 0 {
		name = fmt.Sprintf("mark-%d", k.Mark)
	}
	for base, n := name, 2; named(slices.Concat(taken...), name); n++ {
		name = base + "-" + strconv.Itoa(n)
	}
	return name
}

// backendName is that of the node with the address, if a service knows it:
// "s1", or "s1:8080" off the service's port.
func backendName(addr netip.AddrPort, port uint16, services []lb.Service, taken []lb.Backend) string {
	for _, other := range services {
		for _, b := range other.Backends {
			if b.Addr.Addr().Unmap() != addr.Addr() {
				continue
			}
			name, _, _ := strings.Cut(b.Name, ":")
			if addr.Port() != port {
				name += ":" + strconv.Itoa(int(addr.Port()))
			}
			if !slices.ContainsFunc(taken, func(b lb.Backend) bool { return b.Name == name }) {
				return name
			}
		}
	}
	return addr.String()
}
