package l7

import (
	"fmt"
	"net/netip"

	"lbctl/internal/lb"
	"lbctl/internal/proxy"
)

// table is a snapshot made ready to serve. It is immutable.
type table struct {
	snapshot lb.Snapshot
	services []*proxy.Service
	byVIP    map[netip.AddrPort]*proxy.Service
}

// newTable builds the table of a snapshot, taking over from old what stays. It
// touches nothing that old uses.
func newTable(s lb.Snapshot, old *table) (*table, error) {
	t := &table{snapshot: s, byVIP: map[netip.AddrPort]*proxy.Service{}}
	names := map[string]bool{}
	for _, conf := range s.Services {
		if conf.Plane != lb.L7 {
			continue
		}
		if err := validate(conf); err != nil {
			return nil, fmt.Errorf("service %s: %w", conf.Name, err)
		}
		if names[conf.Name] {
			return nil, fmt.Errorf("service %s: configured twice", conf.Name)
		}
		if other := t.byVIP[conf.VIP.Addr]; other != nil {
			return nil, fmt.Errorf("service %s: address %s is that of service %s", conf.Name, conf.VIP.Addr, other.Name)
		}
		conf.HTTP = withDefaults(conf.HTTP)
		svc, err := proxy.NewService(conf, old.service(conf.Name))
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", conf.Name, err)
		}
		names[conf.Name] = true
		t.services = append(t.services, svc)
		t.byVIP[conf.VIP.Addr] = svc
	}
	return t, nil
}

func validate(s lb.Service) error {
	if s.VIP.Proto != lb.TCP {
		return fmt.Errorf("protocol %q: l7 speaks tcp only", s.VIP.Proto)
	}
	if !s.VIP.Addr.IsValid() {
		return fmt.Errorf("no address")
	}
	ids := map[lb.BackendID]bool{}
	for _, b := range s.Backends {
		if b.ID == 0 || ids[b.ID] {
			return fmt.Errorf("backend %s: ID %d is taken or none", b.Name, b.ID)
		}
		if !b.Addr.IsValid() || b.Addr.Port() == 0 {
			return fmt.Errorf("backend %s: address %s: no address and port", b.Name, b.Addr)
		}
		ids[b.ID] = true
	}
	return nil
}

func (t *table) service(name string) *proxy.Service {
	for _, s := range t.services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// stats reads every counter.
func (t *table) stats() []lb.ServiceStats {
	out := make([]lb.ServiceStats, 0, len(t.services))
	for _, s := range t.services {
		ss := lb.ServiceStats{Name: s.Name, Counters: s.Account.Read(), Backends: make([]lb.BackendStats, 0, len(s.Members))}
		for _, m := range s.Members {
			ss.Backends = append(ss.Backends, lb.BackendStats{ID: m.ID, Name: m.Name, Counters: m.Endpoint.Account.Read()})
		}
		out = append(out, ss)
	}
	return out
}
