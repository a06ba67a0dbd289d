package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"lbctl/ctl"
	"lbctl/internal/lab"
	"lbctl/internal/lb"
	"lbctl/internal/scenario"
)

// builder brings one scenario up, step by step.
type builder struct {
	*shell
	options        lab.Options
	scenario       *scenario.Scenario
	timeout        time.Duration
	api, tokenFile string
	out            io.Writer // what happens, for people
	fresh          bool      // refuse a lab that is there already
	begun          bool      // up has begun to change the machine, or is through
	config         ctl.DaemonConfig
	client         *ctl.Client
}

func (b *builder) up(ctx context.Context) error {
	if err := b.prepare(); err != nil {
		return err
	}
	unlock, err := lab.Lock(ctx, b.options, b.scenario.Name)
	if err != nil {
		return err
	}
	defer unlock()
	b.options.Locked = true
	defer func() { b.options.Locked = false }()
	if err := b.examine(); err != nil {
		return err
	}
	if b.fresh {
		if err := b.refuseOld(); err != nil {
			return err
		}
	}
	if err := b.printPlan(); err != nil {
		return err
	}
	began := time.Now()
	b.begun = true
	changed, err := b.reconcile(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "lab %s is up: %s in %s\n", b.scenario.Name, count(changed, "change"), time.Since(began).Round(10*time.Millisecond))
	return nil
}

// refuseOld must be asked under the lock: then whoever goes on owns the lab.
func (b *builder) refuseOld() error {
	labs, err := lab.List(b.options)
	if err != nil {
		return err
	}
	name := b.scenario.Name
	if old, exists := find(labs, func(l lab.Info) bool { return l.Name == name }); exists {
		return fmt.Errorf("lab %s is %s already: use 'lbctl --lab %s compare', or 'lbctl down %s' first", name, old.State, name, name)
	}
	return nil
}

// examine runs the doctor and stops at what makes a lab impossible.
func (b *builder) examine() error {
	findings := diagnose(b.options, false)
	for _, f := range findings {
		if !f.OK && f.Severity != lab.SeverityError {
			fmt.Fprintf(b.out, "doctor: %s: %s; remedy: %s\n", f.Check, f.Detail, f.Remedy)
		}
	}
	return blocked(findings)
}

func (b *builder) printPlan() error {
	changes, err := lab.Plan(b.options, b.scenario.Topology)
	if err != nil {
		return err
	}
	fmt.Fprintln(b.out, describe(b.scenario))
	printChanges(b.out, changes)
	for _, ch := range b.shapeChanges() {
		fmt.Fprintln(b.out, " ", ch)
	}
	return nil
}

// printChanges sums changes of a kind up once there are many of them.
func printChanges(w io.Writer, changes []lab.Change) {
	const few = 12
	if len(changes) <= few {
		for _, ch := range changes {
			fmt.Fprintln(w, " ", ch)
		}
		return
	}
	type kind struct {
		op   lab.Op
		kind lab.Kind
	}
	counts := map[kind]int{}
	var order []kind
	for _, ch := range changes {
		k := kind{ch.Op, ch.Kind}
		if counts[k] == 0 {
			order = append(order, k)
		}
		counts[k]++
	}
	for _, k := range order {
		fmt.Fprintf(w, "  %s %s\n", k.op, count(counts[k], string(k.kind)))
	}
}

// reconcile makes the lab what the scenario says and returns how many changes
// that took. Backends leave the planes before their servers go, and servers
// are there before the planes hear of them: shrink, build, grow.
func (b *builder) reconcile(ctx context.Context) (int, error) {
	shapes := b.shapeChanges() // which the next daemon sees to
	shrunk, err := b.shrink(ctx)
	if err != nil {
		return 0, err
	}
	if err := b.part(ctx); err != nil {
		return 0, err
	}
	l, built, err := lab.Up(ctx, b.options, b.scenario.Topology)
	if err != nil {
		return 0, fmt.Errorf("bring up lab %s: %w; 'lbctl down %s' removes what there is", b.scenario.Name, err, b.scenario.Name)
	}
	if err := b.endTunnels(l, true); err != nil {
		return 0, err
	}
	grown, err := b.configure(ctx, l)
	if err != nil {
		return 0, err
	}
	if err := b.removeEnds(l); err != nil {
		return 0, err
	}
	return len(shapes) + len(shrunk) + len(built) + len(grown.Changes), nil
}

// shrink takes out of a running daemon's configuration what the scenario no
// longer has, and waits until the planes have let go of it. Without a daemon
// nothing is referenced anew, and there is nothing to do.
func (b *builder) shrink(ctx context.Context) ([]ctl.Change, error) {
	l, err := lab.Open(b.options, b.scenario.Name)
	if err != nil {
		return nil, nil // a new lab
	}
	client := ctl.Dial(l.Path("daemon.sock"))
	defer client.Close()
	now, _, err := client.Config(ctx)
	if err != nil {
		return nil, nil // no daemon
	}
	less := common(now, b.scenario.Config)
	configured, err := client.Configure(ctx, less)
	if err != nil || len(configured.Changes) == 0 {
		return nil, err
	}
	b.printConfigured(configured)
	_, err = client.Wait(ctx, ctl.WaitRequest{Revision: configured.Revision, Timeout: b.timeout})
	return configured.Changes, deadlineCode(err)
}

// part ends the daemon of a lab whose standby is to go: it would put floating
// addresses back while they become the only balancer's own.
func (b *builder) part(ctx context.Context) error {
	l, err := lab.Open(b.options, b.scenario.Name)
	if err != nil || len(l.Topology().Floating) == 0 || b.config.Standby != nil {
		return nil
	}
	return ctl.StopDaemon(ctx, b.config)
}

// common returns the services and backends of now that wanted has too, as they are now.
func common(now, wanted lb.Config) lb.Config {
	less := lb.Config{Checks: now.Checks}
	for _, svc := range now.Services {
		w, kept := find(wanted.Services, func(s lb.Service) bool { return s.Name == svc.Name })
		if !kept {
			continue
		}
		backends := svc.Backends
		svc.Backends = nil
		for _, b := range backends {
			if _, kept := find(w.Backends, func(o lb.Backend) bool { return o.Addr == b.Addr }); kept {
				svc.Backends = append(svc.Backends, b)
			}
		}
		less.Services = append(less.Services, svc)
	}
	return less
}

func (b *builder) configure(ctx context.Context, l *lab.Lab) (ctl.Configured, error) {
	hub, err := l.Hub()
	if err != nil {
		return ctl.Configured{}, err
	}
	defer hub.Close()
	client, _, err := ctl.StartDaemon(ctx, b.config, hub.Start)
	if err != nil {
		return ctl.Configured{}, err
	}
	b.client = client
	configured, err := client.Configure(ctx, b.scenario.Config)
	if err != nil {
		return configured, fmt.Errorf("configure lab %s: %w", b.scenario.Name, err)
	}
	b.printConfigured(configured)
	if err := b.keepScenario(l); err != nil {
		return configured, err
	}
	_, err = client.Wait(ctx, ctl.WaitRequest{Revision: configured.Revision, Healthy: true, Timeout: b.timeout})
	return configured, deadlineCode(err)
}

// printConfigured leaves out what is created: the plan has named it.
func (b *builder) printConfigured(configured ctl.Configured) {
	for _, ch := range configured.Changes {
		if ch.Op != ctl.Create {
			fmt.Fprintln(b.out, " ", ch)
		}
	}
}

func (b *builder) keepScenario(l *lab.Lab) error {
	data, err := json.Marshal(b.scenario)
	if err != nil {
		return err
	}
	path := l.Path(scenarioFile)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
