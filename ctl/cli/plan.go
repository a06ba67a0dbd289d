package cli

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/lb"
	"lbctl/internal/scenario"
	"lbctl/internal/traffic"
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
		&cli.GenericFlag{Name: "rate", Value: new(rateValue), DefaultText: "the workload's", Usage: "5000 or 5k/s: an open loop with latency from the intended send time; 0: a closed loop"},
		&cli.StringSliceFlag{Name: "workload", Aliases: []string{"w"}, Usage: "only this workload of the scenario (repeatable)"},
		&cli.StringFlag{Name: "results", Value: "results", Usage: "folder that keeps the measurement as JSON; empty: keep none"},
	}
}

// checkMeasureFlags refuses values that mean nothing; what is too much for the
// generator it says itself.
func checkMeasureFlags(c *cli.Context) error {
	for _, f := range []struct {
		name string
		bad  bool
		want string
	}{
		{"rounds", c.Int("rounds") < 1, "1 or more"},
		{"duration", c.Duration("duration") <= 0, "more than 0"},
		{"warmup", c.Duration("warmup") < 0, "0 or more"},
		{"connections", c.Int("connections") < 1, "1 or more"},
	} {
		if c.IsSet(f.name) && f.bad {
			return usagef("%s: %s %v: want %s", c.Command.Name, f.name, c.Value(f.name), f.want)
		}
	}
	return nil
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
		w.Rate = float64(*c.Generic("rate").(*rateValue))
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
	p := traffic.Plan{Name: sc.Name, Rounds: max(sc.Compare.Rounds, 1)}
	err := checkMeasureFlags(c)
	if err != nil {
		return p, err
	}
	if c.IsSet("rounds") {
		p.Rounds = c.Int("rounds")
	}
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
		if !svc.Target().IsValid() {
			return p, codef(exitNotFound, "service %q of scenario %s has no VIP that a client could ask", name, sc.Name)
		}
		p.Arms = append(p.Arms, traffic.Arm{Name: name, Targets: []netip.AddrPort{svc.Target()}, Service: svc})
		for _, b := range svc.Backends {
			if addr := sc.Topology.Direct(svc, b); !seen[addr] {
				seen[addr] = true
				direct.Targets = append(direct.Targets, addr)
			}
		}
	}
	p.Arms = append([]traffic.Arm{direct}, p.Arms...)
	p.Conditions = traffic.Conditions{
		Lbctl: ctl.BuildVersion(), BPFStats: true,
	}
	return p, nil
}

// inForce replaces what the scenario says of the arms' backends by what is in
// force now, after `lbctl weight` and `drain`, and notes what the planes cost
// one another.
func inForce(p *traffic.Plan, st ctl.Status) {
	for i := range p.Arms {
		svc, ok := st.Service(p.Arms[i].Name)
		if !ok || p.Arms[i].Direct {
			continue
		}
		p.Arms[i].Service.Backends = nil
		for _, b := range svc.Backends {
			p.Arms[i].Service.Backends = append(p.Arms[i].Service.Backends, b.Backend)
		}
	}
	for _, plane := range st.Planes {
		if plane.Name == lb.L4 && plane.State != ctl.PlaneIdle {
			at := "the L4 program"
			for _, h := range plane.Hooks {
				at += fmt.Sprintf(", at %s of %s", h.Hook, h.Interface)
			}
			p.Conditions.Notes = append(p.Conditions.Notes, "the balancer runs "+at+", in every round, whichever plane is measured")
			break // of two balancers both have it
		}
	}
}
