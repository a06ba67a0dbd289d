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
			l, found, err := s.setAdmin(c, lb.Draining)
			if err != nil {
				return err
			}
			if c.Duration("deadline") > 0 {
				if err := s.waitDrained(c, l, found); err != nil {
					return err
				}
				return s.said(c, found, "drained")
			}
			return s.said(c, found, "draining")
		},
	}
}

// waitDrained polls the planes' own counts; progress goes to stderr.
func (s *shell) waitDrained(c *cli.Context, l *session, found []member) error {
	deadline := time.Now().Add(c.Duration("deadline"))
	shown := ""
	for {
		st, err := l.status(c.Context)
		if err != nil {
			return err
		}
		left, text := leftOf(st, found)
		if text != shown {
			s.progressLine(text, time.Until(deadline))
			shown = text
		}
		if left == 0 {
			s.endProgress()
			return nil
		}
		if time.Now().After(deadline) {
			s.endProgress()
			return codef(exitDeadline, "drain: after %v there are still %s; the backend stays draining", c.Duration("deadline"), text)
		}
		select {
		case <-c.Context.Done():
			return c.Context.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func leftOf(st ctl.Status, found []member) (left uint64, text string) {
	var parts []string
	for _, m := range found {
		svc, _ := st.Service(m.Service)
		b, _ := svc.Backend(m.Backend)
		noun := "flow"
		if m.Plane == lb.L7 {
			noun = "request"
		}
		left += b.Counters.Active
		parts = append(parts, fmt.Sprintf("%s on %s/%s", count(int(b.Counters.Active), noun), m.Service, m.Backend))
	}
	return left, strings.Join(parts, ", ")
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
