package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/lb"
)

func (s *shell) drain() *cli.Command {
	return &cli.Command{
		Name:      "drain",
		Usage:     "give a backend nothing new and wait until it has nothing left",
		ArgsUsage: "BACKEND",
		Description: `Waits until no flow is left on L4 and no request on L7. When the deadline passes
first, the backend stays draining and the exit code is 6. ` + memberHelp,
		Flags: []cli.Flag{
			outputFlag(),
			&cli.DurationFlag{Name: "deadline", Value: time.Minute, Usage: "how long to wait; 0: do not wait"},
		},
		BashComplete: completeWith(s.backendNames),
		Action: func(c *cli.Context) error {
			deadline := time.Now().Add(c.Duration("deadline")) // for all there is to wait for
			l, found, err := s.setAdmin(c, lb.Draining)
			if err == nil && c.Duration("deadline") == 0 {
				return s.said(c, found, "draining")
			}
			if err == nil {
				err = s.waitDrained(c, l, found, deadline)
			}
			if err == nil {
				return s.said(c, found, "drained")
			}
			if c.Context.Err() != nil && found != nil {
				word := c.Args().First()
				return codef(exitInterrupted, "drain: interrupted; %s stays draining, 'lbctl enable %s' takes it back", word, word)
			}
			return err
		},
	}
}

// waitDrained polls the planes' own counts; progress goes to stderr.
func (s *shell) waitDrained(c *cli.Context, l *session, found []member, deadline time.Time) error {
	defer s.endProgress()
	shown := ""
	for {
		st, err := l.status(c.Context)
		if err != nil {
			return err
		}
		drained, text, err := leftOf(st, found)
		if err != nil {
			return err
		}
		if text != shown {
			s.progressLine(text, time.Until(deadline))
			shown = text
		}
		if drained {
			return nil
		}
		if time.Now().After(deadline) {
			return codef(exitDeadline, "drain: after %v there are still %s; the backend stays draining", c.Duration("deadline"), text)
		}
		select {
		case <-c.Context.Done():
			return c.Context.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// leftOf says what the members still have. A plane that cannot count may have
// anything left. The error says that somebody ended the drain.
func leftOf(st ctl.Status, found []member) (drained bool, text string, err error) {
	unknown := map[lb.Plane]string{}
	for _, p := range st.Planes {
		unknown[p.Name] = p.StatsError
	}
	drained = true
	var parts []string
	for _, m := range found {
		svc, _ := st.Service(m.Service)
		b, exists := svc.Backend(m.Backend)
		if exists && b.Admin == lb.Enabled {
			return false, "", fmt.Errorf("drain: somebody has enabled %s/%s meanwhile", m.Service, m.Backend)
		}
		noun := "flow"
		if m.Plane == lb.L7 {
			noun = "request"
		}
		left := b.Counters.Active
		if m.Plane == lb.L4 && svc.VIP.Proto == lb.UDP {
			left = b.Counters.Inactive // datagrams show no end, so no flow of them is active
		}
		what := count(int(left), noun)
		if unknown[m.Plane] != "" {
			what = noun + "s unknown (" + unknown[m.Plane] + ")"
		}
		drained = drained && left == 0 && unknown[m.Plane] == ""
		parts = append(parts, fmt.Sprintf("%s on %s/%s", what, m.Service, m.Backend))
	}
	return drained, strings.Join(parts, ", "), nil
}

// progressLine redraws one line on a terminal and adds one elsewhere.
func (s *shell) progressLine(text string, left time.Duration) {
	if s.terminal {
		fmt.Fprintf(s.err, "\r\x1b[K%s (%s left)", text, short(left))
		return
	}
	fmt.Fprintln(s.err, text)
}

func (s *shell) endProgress() {
	if s.terminal {
		fmt.Fprint(s.err, "\r\x1b[K")
	}
}
