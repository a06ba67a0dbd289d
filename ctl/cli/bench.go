package cli

import (
	"github.com/urfave/cli/v2"
)

func (s *shell) bench() *cli.Command {
	return &cli.Command{
		Name:      "bench",
		Usage:     "measure one service against its servers without a balancer",
		ArgsUsage: "SERVICE",
		Description: `A closed loop unless --rate is given. Workloads are the scenario's; flags override
what they say.

   lbctl bench web-l4 --workload connect --connections 128
   lbctl bench web-l7 --rate 5000 --duration 10s`,
		Flags:        measureFlags(),
		BashComplete: completeWith(s.serviceNames),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "SERVICE"); err != nil {
				return err
			}
			l, err := s.openLab(c)
			if err != nil {
				return err
			}
			sc, err := l.scenario()
			if err != nil {
				return err
			}
			p, err := plan(c, sc, c.Args().Slice())
			if err != nil {
				return err
			}
			return s.measure(c, l, p)
		},
	}
}
