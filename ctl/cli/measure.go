package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/lb"
	"lbctl/internal/netns"
	"lbctl/internal/report"
	"lbctl/internal/scenario"
	"lbctl/internal/traffic"
	"lbctl/l4"
)

// measureFlags are those of every verb that measures. A flag that is set
// overrides what the scenario says of each workload.
func measureFlags() []cli.Flag {
	return []cli.Flag{
		outputFlag(),
		&cli.IntFlag{Name: "rounds", Usage: "rounds, each of two mirrored halves (default: the scenario's)"},
		&cli.DurationFlag{Name: "duration", Usage: "of one run's measured part"},
		&cli.DurationFlag{Name: "warmup", Usage: "of one run, before it is measured"},
		&cli.IntFlag{Name: "connections", Usage: "open at a time"},
		&cli.Float64Flag{Name: "rate", Usage: "requests/s: an open loop with latency from the intended send time; 0: a closed loop"},
		&cli.StringSliceFlag{Name: "workload", Aliases: []string{"w"}, Usage: "only this workload of the scenario (repeatable)"},
		&cli.StringFlag{Name: "results", Value: "results", Usage: "folder that keeps the measurement as JSON; empty: keep none"},
	}
}

// workloads are the scenario's, those asked for, with the flags applied.
func workloads(c *cli.Context, sc *scenario.Scenario) ([]traffic.Workload, error) {
	names := c.StringSlice("workload")
	if len(names) == 0 {
		names = sc.Compare.Workloads
	}
	var all []traffic.Workload
	for _, w := range sc.Workloads {
		all = append(all, traffic.Workload(w))
	}
	if len(names) > 0 {
		chosen := make([]traffic.Workload, 0, len(names))
		for _, name := range names {
			w, ok := find(all, func(w traffic.Workload) bool { return w.Name == name })
			if !ok {
				return nil, codef(exitNotFound, "scenario %s has no workload %q", sc.Name, name)
			}
			chosen = append(chosen, w)
		}
		all = chosen
	}
	if len(all) == 0 {
		all = []traffic.Workload{{Name: "keepalive", Connections: 64, KeepAlive: true, Path: "/", Duration: 3 * time.Second, Warmup: time.Second, Timeout: 5 * time.Second}}
	}
	for i := range all {
		override(c, &all[i])
	}
	return all, nil
}

func override(c *cli.Context, w *traffic.Workload) {
	if c.IsSet("duration") {
		w.Duration = c.Duration("duration")
	}
	if c.IsSet("warmup") {
		w.Warmup = c.Duration("warmup")
	}
	if c.IsSet("connections") {
		w.Connections = c.Int("connections")
	}
	if c.IsSet("rate") {
		w.Rate = c.Float64("rate")
	}
}

func find[T any](all []T, match func(T) bool) (T, bool) {
	for _, v := range all {
		if match(v) {
			return v, true
		}
	}
	var none T
	return none, false
}

// plan turns services of a scenario into arms, with the direct one first: the
// client asks their servers itself.
func plan(c *cli.Context, sc *scenario.Scenario, services []string) (traffic.Plan, error) {
	p := traffic.Plan{Name: sc.Name, Rounds: sc.Compare.Rounds}
	if c.IsSet("rounds") || p.Rounds == 0 {
		p.Rounds = max(c.Int("rounds"), 1)
	}
	var err error
	if p.Workloads, err = workloads(c, sc); err != nil {
		return p, err
	}
	direct := traffic.Arm{Name: "direct", Direct: true}
	seen := map[netip.AddrPort]bool{}
	for _, name := range services {
		svc, ok := find(sc.Config.Services, func(s lb.Service) bool { return s.Name == name })
		if !ok {
			return p, codef(exitNotFound, "scenario %s has no service %q", sc.Name, name)
		}
		p.Arms = append(p.Arms, traffic.Arm{Name: name, Targets: []netip.AddrPort{svc.VIP.Addr}, Service: svc})
		for _, b := range svc.Backends {
			if !seen[b.Addr] {
				seen[b.Addr] = true
				direct.Targets = append(direct.Targets, b.Addr)
			}
		}
	}
	p.Arms = append([]traffic.Arm{direct}, p.Arms...)
	p.Conditions = traffic.Conditions{
		Lbctl: ctl.BuildVersion(), BPFStats: true, OffloadsOff: []string{"tx-checksum", "tso"},
		Notes: []string{"the balancer's link has a native XDP program in every round, whichever plane is measured"},
	}
	return p, nil
}

// measure runs the plan inside the lab and keeps and prints what came out.
func (s *shell) measure(c *cli.Context, l *session, p traffic.Plan) error {
	client, err := clientNode(l)
	if err != nil {
		return err
	}
	runtime, err := l4.EnableRunTime()
	if err != nil {
		p.Conditions.BPFStats = false
		p.Conditions.Notes = append(p.Conditions.Notes, "no XDP run times: "+err.Error())
	} else {
		defer runtime.Close()
	}
	binary, err := self()
	if err != nil {
		return err
	}
	bar := s.newBar()
	m, err := traffic.Compare(c.Context, p, traffic.Probes{
		Fork: func(ctx context.Context, load traffic.Load, event func(traffic.Event)) (traffic.Result, error) {
			return traffic.RunProcess(ctx, client.Start, binary, load, event)
		},
		Groups: func() map[string][]int { return processGroups(c.Context, l) },
		Stats:  func(ctx context.Context) (map[lb.Plane]lb.Stats, error) { return planeStats(ctx, l) },
	}, bar.show)
	bar.end()
	if m == nil {
		return err
	}
	if kept := s.keep(c, m); kept != nil {
		return errors.Join(err, kept)
	}
	if len(m.Runs) == 0 {
		return err
	}
	return errors.Join(s.printReport(c, report.Analyze(m)), err)
}

func (s *shell) keep(c *cli.Context, m *traffic.Measurement) error {
	dir := c.String("results")
	if dir == "" || len(m.Runs) == 0 {
		return nil
	}
	path, err := report.Save(dir, m)
	if err != nil {
		return fmt.Errorf("keep measurement: %w", err)
	}
	fmt.Fprintf(s.err, "kept as %s\n", path)
	return nil
}

type starter interface{ Start(cmd *exec.Cmd) error }

func clientNode(l *session) (starter, error) {
	for _, n := range l.lab.Topology().Nodes {
		if n.Role == scenario.RoleClient {
			return l.lab.Node(n.Name)
		}
	}
	return nil, codef(exitNotFound, "lab %s has no client to generate load from", l.name)
}

// processGroups names the processes whose CPU time is told apart.
func processGroups(ctx context.Context, l *session) map[string][]int {
	groups := map[string][]int{}
	for _, p := range l.lab.Servers() {
		if p.Alive {
			groups["servers"] = append(groups["servers"], p.PID)
		}
	}
	if v, err := l.client.Version(ctx); err == nil {
		groups["daemon"] = []int{v.PID}
	}
	groups["l7"] = proxyProcesses(l)
	return groups
}

// proxyProcesses are those that live on the balancer: the L7 plane's own, since
// nothing else is started there.
func proxyProcesses(l *session) []int {
	for _, n := range l.lab.Topology().Nodes {
		if n.Role != scenario.RoleBalancer {
			continue
		}
		node, err := l.lab.Node(n.Name)
		if err != nil {
			return nil
		}
		defer node.Close()
		pids, _ := netns.Processes(map[uint64]bool{node.Inode(): true})
		return pids
	}
	return nil
}

func planeStats(ctx context.Context, l *session) (map[lb.Plane]lb.Stats, error) {
	stats, err := l.client.Stats(ctx)
	planes := map[lb.Plane]lb.Stats{}
	for _, p := range stats.Planes {
		if p.Error == "" {
			planes[p.Plane] = p.Stats
		}
	}
	return planes, err
}
