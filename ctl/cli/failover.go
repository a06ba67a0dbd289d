package cli

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
)

func (s *shell) failover() *cli.Command {
	return &cli.Command{
		Name:      "failover",
		Usage:     "make the other of two balancers active",
		ArgsUsage: "[NODE]",
		Description: `The VIPs, and what replies under nat go to, move to NODE, or to whichever balancer
is not active. The old one loses them first and forwards on what still reaches it.
With --crash the active balancer is cut off without notice, as by a power cut, and
'lbctl up FILE' connects it again.`,
		Flags: []cli.Flag{
			outputFlag(),
			&cli.BoolFlag{Name: "crash", Usage: "cut the active balancer off first"},
		},
		BashComplete: completeWith(s.balancerNames),
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return wantArgs(c, "NODE")
			}
			l, err := s.openLab(c)
			if err != nil {
				return err
			}
			result, err := l.client.Failover(c.Context, ctl.FailoverRequest{To: c.Args().First(), Crash: c.Bool("crash")})
			if ctl.StatusCode(err) == 404 {
				return withCode(exitNotFound, err)
			}
			if err != nil {
				return err
			}
			return s.print(c, result, func(t *tableWriter) {
				if result.From == result.To {
					t.line("%s is active already", result.To)
					return
				}
				t.line("%s took over from %s in %s", result.To, result.From, result.Took.Round(10*time.Microsecond))
			})
		},
	}
}

// balancerTable shows two balancers; where there is one, nothing.
func balancerTable(t *tableWriter, balancers []ctl.BalancerStatus) {
	if len(balancers) == 0 {
		return
	}
	t.line("")
	t.head("  BALANCER", "ROLE", "FOR", "LINK", "FLOWS", "TOLD", "HEARD")
	for _, b := range balancers {
		link := cell{"connected", green}
		if !b.Connected {
			link = cell{"cut off", red}
		}
		told, heard := "sync is off", ""
		if b.Sync != nil {
			told, heard = fmt.Sprint(b.Sync.FlowsSent), fmt.Sprint(b.Sync.Adopted)
		}
		t.row("  "+b.Node, string(b.Role), short(time.Since(b.Since)), link, b.Flows, told, heard)
	}
}
