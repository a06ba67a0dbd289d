package cli

import (
	"github.com/urfave/cli/v2"
)

func (s *shell) compare() *cli.Command {
	return &cli.Command{
		Name:      "compare",
		Usage:     "measure services side by side, and the servers without a balancer beside them",
		ArgsUsage: "[SERVICE…]",
		Description: `Without arguments: the services that the scenario compares. Rounds are interleaved,
A B B A, with a direct run (client to servers) in each half; the cost of a balancer
is what the whole machine spends per request beyond the direct run. A winner is
named only outside the 95 % interval.`,
		Flags:        measureFlags(),
		BashComplete: completeWith(s.serviceNames),
		Action: func(c *cli.Context) error {
			l, err := s.openLab(c)
			if err != nil {
				return err
			}
			sc, err := l.scenario()
			if err != nil {
				return err
			}
			services := c.Args().Slice()
			if len(services) == 0 {
				services = sc.Compare.Services
			}
			if len(services) == 0 {
				return usagef("compare: scenario %s compares nothing: name services or add 'compare:' to it", sc.Name)
			}
			p, err := plan(c, sc, services)
			if err != nil {
				return err
			}
			return s.measure(c, l, p)
		},
	}
}
