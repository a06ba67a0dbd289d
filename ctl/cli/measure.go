package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
	"lbctl/internal/report"
	"lbctl/internal/scenario"
	"lbctl/internal/traffic"
	"lbctl/l4"
)

// measure runs the plan inside the lab and keeps and prints what came out.
func (s *shell) measure(c *cli.Context, l *session, p traffic.Plan) error {
	client, err := clientNode(l)
	if err != nil {
		return err
	}
	defer client.Close()
	st, err := l.status(c.Context)
	if err != nil {
		return err
	}
	inForce(&p, st)
	if !l.lab.Topology().Offloads() {
		p.Conditions.OffloadsOff = []string{"tx-checksum", "tso"}
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
	if len(m.Runs) == 0 {
		return err
	}
	kept := s.keep(c, m) // printed all the same: it took minutes to measure
	r := report.Analyze(m)
	return errors.Join(s.printReport(c, r), kept, err, silentArms(r))
}

// silentArms is an error if an arm has answered nothing at all: the figures
// beside it compare with nothing.
func silentArms(r *report.Report) error {
	for _, w := range r.Workloads {
		for _, a := range w.Arms {
			if a.Requests == 0 {
				return fmt.Errorf("measure %s: nothing was answered under workload %s", a.Name, w.Name)
			}
		}
	}
	return nil
}

func (s *shell) keep(c *cli.Context, m *traffic.Measurement) error {
	dir := c.String("results")
	if dir == "" {
		return nil
	}
	path, err := report.Save(dir, m)
	if err != nil {
		return fmt.Errorf("keep measurement: %w", err)
	}
	fmt.Fprintf(s.err, "kept as %s\n", path)
	return nil
}

func clientNode(l *session) (*netns.Handle, error) {
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

// proxyProcesses are those that live on the balancers: the L7 plane's own, since
// nothing else is started there.
func proxyProcesses(l *session) []int {
	spaces := map[uint64]bool{}
	for _, n := range l.lab.Topology().Nodes {
		if n.Role != scenario.RoleBalancer {
			continue
		}
		node, err := l.lab.Node(n.Name)
		if err != nil {
			return nil
		}
		defer node.Close()
		spaces[node.Inode()] = true
	}
	pids, _ := netns.Processes(spaces)
	return pids
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
