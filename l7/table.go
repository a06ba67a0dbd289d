package l7

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"lbctl/internal/lb"
	"lbctl/internal/proxy"
)

// table is a snapshot made ready to serve. It is immutable.
type table struct {
	leaving    atomic.Int32 // fronts that it took out of service, and that still have clients
	generation uint64       // of the configuration
	services   []*proxy.Service
	byVIP      map[netip.AddrPort]*proxy.Service
	logs       map[string]bool // paths of access logs
}

// newTable builds the table of a snapshot, taking over from old, which may be nil,
// what stays. It touches nothing that old uses.
func newTable(s lb.Snapshot, old *table, accounts proxy.Accounts) (*table, error) {
	t := &table{byVIP: map[netip.AddrPort]*proxy.Service{}}
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
		if other := t.byVIP[conf.VIP.Addr]; other != nil && conf.VIP.Addr.IsValid() {
			return nil, fmt.Errorf("service %s: address %s is that of service %s", conf.Name, conf.VIP.Addr, other.Name)
		}
		conf.HTTP = withDefaults(conf.HTTP)
		svc, err := proxy.NewService(conf, old.service(conf.Name), accounts)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", conf.Name, err)
		}
		names[conf.Name] = true
		t.services = append(t.services, svc)
		if conf.VIP.Addr.IsValid() { // else only routes lead to it
			t.byVIP[conf.VIP.Addr] = svc
		}
	}
	return t, proxy.Link(t.services)
}

func validate(s lb.Service) error {
	if err := validateVIP(s.VIP); err != nil {
		return err
	}
	if err := validateLog(s.HTTP.AccessLog); err != nil {
		return err
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
	if t == nil {
		return nil
	}
	for _, s := range t.services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// inUse reports whether a request goes by the table still, which has been replaced.
func (t *table) inUse() bool {
	return t.leaving.Load() != 0 || slices.ContainsFunc(t.services, (*proxy.Service).InUse)
}
