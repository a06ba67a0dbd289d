package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/lb"
)

func (s *shell) status() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "show services, backends, health and what the planes have applied",
		ArgsUsage: "[SERVICE]",
		Description: `Health is what the checker found, admin is what a person set; a backend takes
something new only while it is up, enabled and of a weight above 0.`,
		Flags:        []cli.Flag{outputFlag()},
		BashComplete: completeWith(s.serviceNames),
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return wantArgs(c, "SERVICE")
			}
			l, err := s.openDaemon(c)
			if err != nil {
				return err
			}
			st, err := l.status(c.Context)
			if err != nil {
				return err
			}
			if name := c.Args().First(); name != "" {
				svc, ok := st.Service(name)
				if !ok {
					return codef(exitNotFound, "%s has no service %q", whose(st), name)
				}
				return s.print(c, svc, func(t *tableWriter) { serviceTable(t, svc) })
			}
			return s.print(c, st, func(t *tableWriter) { statusTable(t, st) })
		},
	}
}

func statusTable(t *tableWriter, st ctl.Status) {
	of := whose(st)
	if st.File != "" {
		of += " of " + st.File
	}
	t.line("%s, revision %d, daemon %d up %s", of, st.Revision, st.PID, short(st.Uptime))
	for _, p := range st.Planes {
		planeLine(t, p)
	}
	balancerTable(t, st.Balancers)
	for _, svc := range st.Services {
		t.line("")
		serviceTable(t, svc)
	}
}

// whose status it is: "lab x", or "balancer x".
func whose(st ctl.Status) string {
	if st.File != "" {
		return "balancer " + st.Lab
	}
	return "lab " + st.Lab
}

func planeLine(t *tableWriter, p ctl.PlaneStatus) {
	name := ctl.Plane{Name: p.Name, Node: p.Node}
	text := fmt.Sprintf("plane %s: %s, revision %d", name, p.State, p.Applied)
	if p.State == ctl.PlaneIdle {
		text = fmt.Sprintf("plane %s: idle, no service has asked for it", name)
	}
	if p.State == ctl.PlaneFailing {
		text += fmt.Sprintf(" of %d, %d failures in a row: %s", p.Desired, p.Retries, p.LastError)
	} else if p.Failures > 0 {
		text += fmt.Sprintf(" (%d failed attempts since start, all recovered)", p.Failures)
	}
	t.line("%s", text)
	if p.Shape != nil {
		t.line("plane %s: %s, master %d", name, modelText(*p.Shape, p.Loop), p.PID)
	}
	for _, h := range p.Hooks {
		t.line("plane %s: takes packets of %s at %s: %s", name, h.Interface, h.Hook, h.Reason)
	}
	if p.StatsError != "" {
		t.line("plane %s: %s", name, p.StatsError)
	}
	for _, table := range p.FlowTables {
		t.line("plane %s: flow table %s", name, flowTableText(table))
	}
}

func serviceTable(t *tableWriter, svc ctl.ServiceStatus) {
	how := string(svc.Policy)
	if svc.Forward != "" {
		how = string(svc.Forward) + " " + how
	}
	t.rows = append(t.rows, []cell{{fmt.Sprintf("%s  %s  %s %s", svc.Name, svc.Address(), svc.Plane, how), bold}})
	work := "CONNS"
	if svc.Plane == lb.L7 {
		work = "REQUESTS"
	}
	t.head("  BACKEND", "ADDRESS", "WEIGHT", "HEALTH", "ADMIN", "FOR", "ACTIVE", work, "IN", "LAST PROBE")
	for _, b := range svc.Backends {
		done := b.Counters.Connections
		if svc.Plane == lb.L7 {
			done = b.Counters.Requests
		}
		weight := fmt.Sprint(b.Weight)
		if b.Weight != b.ScenarioWeight {
			weight += fmt.Sprintf(" (file: %d)", b.ScenarioWeight)
		}
		since := ""
		if !b.Since.IsZero() {
			since = short(time.Since(b.Since))
		}
		t.row("  "+b.Name, b.Addr, weight, healthCell(b.Health), adminCell(b.Admin), since,
			b.Counters.Active, done, bytesText(b.Counters.BytesIn), cell{probeText(b), dim})
	}
}

func probeText(b ctl.BackendStatus) string {
	text := ""
	switch {
	case b.Reason != "" && b.Health != lb.Up:
		text = b.Reason
	case !b.Probed.IsZero():
		text = "ok in " + b.ProbeTime.Round(10*time.Microsecond).String()
	}
	if b.Doubt != "" {
		text += fmt.Sprintf("; %s for %s", b.Doubt, short(time.Until(b.DoubtUntil)))
	}
	return text
}

func healthCell(h lb.Health) cell {
	return cell{h.String(), map[lb.Health]string{lb.Up: green, lb.Down: red, lb.Unknown: yellow}[h]}
}

func adminCell(a lb.Admin) cell {
	return cell{a.String(), map[lb.Admin]string{lb.Draining: yellow, lb.Disabled: red}[a]}
}

// short writes a duration as people say it: 3s, 4m10s, 2h5m, 3d.
func short(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Truncate(time.Second).String()
	case d < time.Hour:
		return d.Truncate(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// bytesText writes a number of bytes in binary units with three digits.
func bytesText(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"} {
		if f /= 1024; f < 1024 {
			break
		}
	}
	if f >= 999.5 {
		return fmt.Sprintf("%.0f %s", f, unit) // %g would write an exponent
	}
	return fmt.Sprintf("%.3g %s", f, unit)
}
