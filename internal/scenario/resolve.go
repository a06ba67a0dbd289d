package scenario

import (
	"maps"
	"net/netip"
	"slices"

	"lbctl/internal/lb"
)

// Resolve works out what the Spec means. It depends on nothing but the Spec,
// and the same Spec always means the same Scenario. The error, if any, is of
// type Errors.
//
// It goes in two passes. The first looks at each part alone and at the names
// by which parts refer to each other; the second, which needs all of that to
// be sound, gives out addresses and finds the ways between them.
func (s *Spec) Resolve() (*Scenario, error) {
	r := &resolver{source: s.src.fresh(), spec: s}
	r.networks()
	r.roster()
	r.refuseFailover()
	r.checks()
	r.services()
	workloads := r.workloads()
	compare := r.compare(workloads)
	if err := r.err(); err != nil {
		return nil, err
	}
	r.addresses()
	if err := r.err(); err != nil {
		return nil, err
	}
	r.backends()
	if err := r.err(); err != nil {
		return nil, err
	}
	r.reachable()
	r.routes()
	r.sysctls()
	r.listeners()
	if err := r.err(); err != nil {
		return nil, err
	}
	return &Scenario{
		Name:      string(s.Name.Value),
		Topology:  r.topology(),
		Config:    r.config(),
		Failover:  r.failover(),
		Workloads: workloads,
		Compare:   compare,
	}, nil
}

// resolver holds what Resolve has found so far.
type resolver struct {
	*source
	spec     *Spec
	nets     []*network
	netNamed map[string]*network
	nodes    []*node
	named    map[string]*node
	balancer *node // the active one
	standby  *node // nil: there is none
	svcs     []*service
	svcNamed map[string]*service
	known    map[string]lb.Check // checks by name
	floating []Floating
	pools    []netip.Prefix // local addresses, for fullnat
}

// topology collects the result of the second pass.
func (r *resolver) topology() Topology {
	t := Topology{Lab: string(r.spec.Name.Value), TunnelSources: r.tunnelSources(), LocalAddresses: r.pools}
	for _, n := range r.nets {
		t.Networks = append(t.Networks, n.Network)
	}
	for _, n := range r.nodes {
		t.Nodes = append(t.Nodes, n.Node)
	}
	t.Floating = r.floating
	return t
}

// config collects the services and those checks that one of them uses.
func (r *resolver) config() lb.Config {
	var c lb.Config
	used := map[string]bool{}
	for _, s := range r.svcs {
		c.Services = append(c.Services, s.Service)
		if s.Check != "" && !used[s.Check] {
			used[s.Check] = true
			c.Checks = append(c.Checks, r.known[s.Check])
		}
	}
	return c
}

// find returns the item of that name, or notes that there is none.
func find[T any, N ~string](r *resolver, what string, name Val[N], items map[string]T) (T, bool) {
	item, ok := items[string(name.Value)]
	if !ok && len(r.errs) < maxKept {
		known := slices.Sorted(maps.Keys(items))
		r.fail(name.Pos, nearest(string(name.Value), known), "unknown %s %q", what, name.Value)
	}
	return item, ok
}

// Limits that keep the work for any file of at most maxFile bytes small.
const (
	maxNetworks = 32 // as many as 198.18.0.0/15 has /20s
	maxServices = 250
	maxNodes    = 4000
)

// limited returns the entries, or the first ones after noting that there are too many.
func limited[K, V any](r *resolver, what string, entries []Entry[K, V], limit int) []Entry[K, V] {
	if len(entries) <= limit {
		return entries
	}
	r.fail(entries[limit].Key.Pos, "", "more than %d %s", limit, what)
	return entries[:limit]
}
