package scenario

import (
	"fmt"
	"net/netip"

	"lbctl/internal/lb"
)

// L7Standalone is what an L7StandaloneSpec means. A path that was not typed is
// empty: its default depends on where it runs.
type L7Standalone struct {
	Name   string
	L7     lb.Shape
	Dir    string
	API    API
	Config lb.Config

	spec *L7StandaloneSpec
}

// LoadL7Standalone reads the file at path. able says what of a service the plane
// cannot do, nil if it can. The error holds Errors if the file was read but makes no
// balancer.
func LoadL7Standalone(path string, able func(lb.Service) error) (*L7Standalone, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	return ParseL7Standalone(path, data, able)
}

// ParseL7Standalone is LoadL7Standalone of a text. Without a name of its own the
// balancer has that of the file.
func ParseL7Standalone(file string, data []byte, able func(lb.Service) error) (*L7Standalone, error) {
	spec := &L7StandaloneSpec{src: &source{file: file, language: "configuration"}}
	if err := spec.src.parse(data, spec); err != nil {
		return nil, err
	}
	return spec.resolve(able)
}

func (s *L7StandaloneSpec) resolve(able func(lb.Service) error) (*L7Standalone, error) {
	r := &resolver{source: s.src.fresh(), spec: &Spec{Checks: s.Checks}}
	out := &L7Standalone{
		Name: balancerName(r, s.src.file, s.Name), L7: s.L7.shape(r), Dir: string(s.Dir.Value),
		API:  API{s.API.Address.Value.AddrPort, string(s.API.TokenFile.Value)},
		spec: s,
	}
	r.checks()
	r.l7Services(s.Services, able)
	out.Config = r.config()
	return out, r.err()
}

// l7Services resolves the services of a standalone balancer. Checks are resolved.
func (r *resolver) l7Services(typed Map[NodeName, L7ServiceSpec], able func(lb.Service) error) {
	if len(typed.Entries) == 0 {
		r.fail(typed.Pos, "", "services: want at least one")
	}
	r.svcNamed = map[string]*service{}
	for _, e := range limited(r, "services", typed.Entries, maxServices) {
		s := r.l7Service(e)
		for _, other := range r.svcs {
			if meet(s.VIP.Addr, other.VIP.Addr) {
				r.fail(e.Value.VIP.Pos, "", "vip: service %s listens at %s already", other.Name, other.VIP.Addr)
			}
		}
		r.svcs, r.svcNamed[s.Name] = append(r.svcs, s), s
	}
	r.httpRoutes()
	if len(r.errs) > 0 || able == nil {
		return
	}
	for _, s := range r.svcs {
		if err := able(s.Service); err != nil {
			r.fail(s.at, "", "service %s: %v", s.Name, err)
		}
	}
}

// meet reports whether only one can listen at two addresses: all of a family hold
// each of it.
func meet(a, b netip.AddrPort) bool {
	return a.IsValid() && a == b || a.Port() == b.Port() && a.Addr().Is4() == b.Addr().Is4() && (a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// defaultPort is that of backends of a service without a VIP.
const defaultPort = 80

func (r *resolver) l7Service(e Entry[NodeName, L7ServiceSpec]) *service {
	spec := filled(e.Value)
	s := &service{at: e.Key.Pos, port: defaultPort, spec: ServiceSpec{
		Check: spec.Check, HTTP: spec.HTTP, Policy: Val[PolicyWord]{Pos: e.Value.Policy.Pos}, VIP: Val[Endpoint]{Pos: spec.VIP.Pos},
	}}
	s.Service = lb.Service{Name: string(e.Key.Value), Plane: lb.L7, Policy: lb.Policy(spec.Policy.Value), HTTP: httpOf(spec.HTTP)}
	if at := spec.VIP.Value.AddrPort; at.IsValid() {
		s.port, s.VIP = at.Port(), lb.VIP{Addr: at, Proto: lb.TCP}
		s.spec.VIP.Value.Addr = at.Addr()
	}
	r.checkOf(s)
	r.refuseHTTP(s)
	names, addrs := map[string]bool{}, map[netip.AddrPort]bool{}
	for _, item := range spec.Backends.Items {
		b := targeted(item.Address.Value, s.port, item.Name)
		typed := filled(item)
		b.Weight, b.MaxConn, b.Backup = uint32(typed.Weight.Value), uint32(typed.MaxConn.Value), bool(typed.Backup.Value)
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

// l7Settled are the keys that a running balancer cannot change.
var l7Settled = []string{"name", "l7", "api", "dir"}

// Restart notes each key in which next differs from s and which takes a restart.
// The error, if any, is of type Errors, with places in next's file.
func (s *L7Standalone) Restart(next *L7Standalone) error {
	return restart(next.spec.src.fresh(), l7Settled, *s, *next, *next.spec)
}
