package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/flowsync"
	"lbctl/internal/ipvsadm"
	"lbctl/internal/lb"
	"lbctl/l4"
)

const (
	applyTimeout = 3 * time.Second // bounds the wait for a change to reach the planes
	probeTimeout = 2 * time.Second // bounds the wait for a new server's health
	rateInterval = time.Second     // between the two samples of --rate
)

// labKernel is a lab in IPVS's place. Changes gather in a table and are made in
// one revision by Commit, on top of whatever somebody else changed meanwhile.
type labKernel struct {
	shell   *shell
	context *cli.Context
	names   ipvsadm.Names
	session *session // nil until a command needs it
	flows   int      // that the plane remembers of a family; 0: not known

	config  lb.Config    // that table stands for
	known   []lb.Service // of the scenario
	etag    string
	table   *ipvsadm.Table // nil: not loaded
	pending []ipvsadm.Command
}

func (s *shell) newLabKernel(c *cli.Context) (*labKernel, error) {
	ports, err := readPorts()
	if err != nil {
		return nil, err
	}
	k := &labKernel{shell: s, context: c}
	k.names = ipvsadm.Names{Hosts: &labHosts{kernel: k}, Ports: ports}
	return k, nil
}

func (k *labKernel) close() {
	if k.session != nil {
		k.session.client.Close()
	}
}

// lab opens the lab once. That there is none is what ipvsadm says of a kernel without IPVS.
func (k *labKernel) lab() (*session, error) {
	if k.session != nil {
		return k.session, nil
	}
	l, err := k.shell.openDaemon(k.context)
	if err != nil {
		return nil, &ipvsadm.Error{Code: exitUsage, Text: "Can't initialize ipvs: " + err.Error()}
	}
	k.session = l
	return l, nil
}

// Do makes a change in the table.
func (k *labKernel) Do(c ipvsadm.Command) error {
	switch c.Op {
	case ipvsadm.SetTimeouts:
		return k.setTimeouts(c.Timeouts)
	case ipvsadm.StartDaemon:
		return ipvsadm.Refused("Operation not supported: two balancers of a lab synchronise as failover in its scenario says")
	}
	if k.table == nil {
		if err := k.load(); err != nil {
			return err
		}
	}
	if err := k.table.Do(c); err != nil {
		return err
	}
	if c.Op == ipvsadm.Zero {
		return k.zero(c)
	}
	k.pending = append(k.pending, c)
	return nil
}

func (k *labKernel) load() error {
	l, err := k.lab()
	if err != nil {
		return err
	}
	if k.config, k.etag, err = l.client.Config(k.context.Context); err != nil {
		return err
	}
	if sc, err := l.scenario(); err == nil { // without one, new services have names of their own
		k.known = sc.Config.Services
	}
	plane := ipvsadm.Plane{Validate: l4.Validate, Known: slices.Concat(k.config.Services, k.known)}
	k.table = &ipvsadm.Table{Services: ipvsadm.FromServices(k.config.Services), Refuse: plane.Refuse}
	return nil
}

// Commit makes the table the lab's configuration. If that has changed since it
// was read, the changes are made anew on what it is now.
func (k *labKernel) Commit() error {
	for attempt := 1; len(k.pending) > 0; attempt++ {
		configured, err := k.configure()
		if err == nil {
			return k.settle(configured)
		}
		if ctl.StatusCode(err) != 412 || attempt == 10 {
			return err
		}
		if err := k.load(); err != nil {
			return err
		}
		for _, c := range k.pending {
			if err := k.table.Do(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *labKernel) configure() (ctl.Configured, error) {
	config := k.config
	config.Services = ipvsadm.Services(k.table.Services, k.config.Services, k.known)
	config.Services = keepChecks(config)
	return k.session.client.ConfigureIf(k.context.Context, k.etag, config)
}

// keepChecks drops from services the checks that the configuration has no more.
func keepChecks(config lb.Config) []lb.Service {
	for i, v := range config.Services {
		if _, ok := find(config.Checks, func(c lb.Check) bool { return c.Name == v.Check }); !ok {
			config.Services[i].Check = ""
		}
	}
	return config.Services
}

// settle makes weights count that were set at runtime before and are edited
// now, and waits until the plane has everything. That it has not is a warning:
// the configuration is made, and the daemon goes on trying.
func (k *labKernel) settle(configured ctl.Configured) error {
	ctx, client := k.context.Context, k.session.client
	st, err := k.session.status(ctx)
	if err != nil {
		return err
	}
	if err := k.session.forgetZero(st); err != nil {
		return err
	}
	edits := k.pending
	k.pending, k.table = nil, nil
	revision := configured.Revision
	for _, c := range edits {
		if c.Op != ipvsadm.EditDest {
			continue
		}
		service, b, ok := backendOf(st, c)
		if !ok || b.Weight == c.Dest.Weight || b.ScenarioWeight != c.Dest.Weight {
			continue
		}
		if revision, err = client.SetBackend(ctx, service, b.Name, ctl.BackendPatch{Weight: &c.Dest.Weight}); err != nil {
			return err
		}
	}
	if inForce, err := k.await(ctx, revision); err != nil || !inForce {
		return err
	}
	_, err = client.Wait(ctx, ctl.WaitRequest{Healthy: true, Timeout: probeTimeout})
	if ctl.StatusCode(err) == 504 {
		return nil // the checks take longer; it takes nothing until they have judged
	}
	return err
}

// await waits until the planes have a revision. That they have not is a warning:
// IPVS takes a server that nobody answers for, too, and the daemon goes on trying.
func (k *labKernel) await(ctx context.Context, revision uint64) (inForce bool, err error) {
	_, err = k.session.client.Wait(ctx, ctl.WaitRequest{Revision: revision, Timeout: applyTimeout})
	if ctl.StatusCode(err) == 504 {
		reason, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintf(k.shell.err, "lbctl: accepted, but not all in force yet: %s; see 'lbctl status'\n", reason)
		return false, nil
	}
	return err == nil, err
}

func backendOf(st ctl.Status, c ipvsadm.Command) (service string, b ctl.BackendStatus, ok bool) {
	for _, svc := range st.Services {
		if svc.Plane != lb.L4 || ipvsadm.KeyOf(lb.Service{VIP: svc.VIP, L4: svc.L4}) != c.Service.Key {
			continue
		}
		b, ok = find(svc.Backends, func(b ctl.BackendStatus) bool { return b.Addr == c.Dest.Addr })
		return svc.Name, b, ok
	}
	return "", b, false
}

// List prints what the lab has, not what was asked for.
func (k *labKernel) List(w io.Writer, c ipvsadm.Command) error {
	if err := k.Commit(); err != nil {
		return err
	}
	l, err := k.lab()
	if err != nil {
		return err
	}
	if c.Options.Has(ipvsadm.OptTimeout) && !c.Options.Has(ipvsadm.OptService) {
		return k.listTimeouts(w, c)
	}
	if c.Options.Has(ipvsadm.OptConnections) {
		return k.listConns(w, c)
	}
	table, err := k.running(c)
	if err != nil {
		return err
	}
	if table.Size = k.flows; table.Size == 0 && l.lab != nil {
		if config, err := ctl.LoadDaemonConfig(l.lab.Path("daemon.json")); err == nil {
			table.Size = config.MaxFlows
		}
	}
	table.Size = cmp.Or(table.Size, l4.DefaultMaxFlows)
	return table.List(w, c, k.names)
}

// running is the table of what the planes have.
func (k *labKernel) running(c ipvsadm.Command) (*ipvsadm.Table, error) {
	ctx := k.context.Context
	table := &ipvsadm.Table{}
	var before ipvsadm.Sample
	if c.Options.Has(ipvsadm.OptRate) {
		var err error
		if before, err = k.sample(ctx); err != nil {
			return nil, err
		}
		select {
		case <-time.After(rateInterval):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	now, err := k.sample(ctx)
	if err != nil {
		return nil, err
	}
	st, err := k.session.status(ctx)
	if err != nil {
		return nil, err
	}
	table.Daemons = k.daemons(st)
	services := servicesOf(st, c.Op == ipvsadm.List)
	table.Services = ipvsadm.FromServices(services)
	ipvsadm.Count(table.Services, services, before, now)
	return table, nil
}

// daemons are those that would synchronise as the lab's active balancer does: it
// tells and is told. What takes the group's place is the other one's address.
func (k *labKernel) daemons(st ctl.Status) []ipvsadm.Daemon {
	if len(st.Balancers) == 0 || st.Balancers[0].Sync == nil {
		return nil
	}
	d := ipvsadm.Daemon{Interface: "eth0", Port: flowsync.Port, MaxLen: flowsync.MaxMessage}
	for _, n := range k.session.lab.Topology().Nodes {
		if n.Name == st.Balancers[1].Node {
			d.Group = n.Links[0].Addrs[0].Addr().String()
		}
	}
	backup := d
	backup.Backup = true
	return []ipvsadm.Daemon{d, backup}
}

// sample is what was counted since the last -Z.
func (k *labKernel) sample(ctx context.Context) (ipvsadm.Sample, error) {
	zero, err := k.session.readZero()
	if err != nil {
		return zero, err
	}
	s, err := k.count(ctx)
	return s.Since(zero), err
}

// count is what was counted since the services were made.
func (k *labKernel) count(ctx context.Context) (ipvsadm.Sample, error) {
	all, err := k.session.client.Stats(ctx)
	if err != nil {
		return ipvsadm.Sample{}, err
	}
	stats, _ := all.Plane(lb.L4) // not open: there is nothing to count
	if stats.Error != "" {
		return ipvsadm.Sample{}, errors.New(stats.Error)
	}
	s := ipvsadm.Sample{At: all.At, Services: map[string]lb.ServiceStats{}}
	for _, table := range stats.FlowTables {
		k.flows = int(table.Size)
	}
	for _, svc := range stats.Services {
		s.Services[svc.Name] = svc
	}
	return s, nil
}

// servicesOf returns the services of a status. When quiet, what takes nothing
// new weighs nothing, as after keepalived or ldirectord has found it dead.
func servicesOf(st ctl.Status, quiet bool) []lb.Service {
	var services []lb.Service
	for _, svc := range st.Services {
		s := lb.Service{Name: svc.Name, Plane: svc.Plane, VIP: svc.VIP, L4: svc.L4, Forward: svc.Forward, Policy: svc.Policy}
		for _, b := range svc.Backends {
			if quiet && !b.Eligible() {
				b.Weight = 0
			}
			s.Backends = append(s.Backends, b.Backend)
		}
		services = append(services, s)
	}
	return services
}
