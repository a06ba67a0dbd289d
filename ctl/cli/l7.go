package cli

import (
	"github.com/urfave/cli/v2"

	"lbctl/ctl"
)

// l7 has verbs for the processes of the HTTP plane, and for one outside of labs.
func (s *shell) l7() *cli.Command {
	own := []*cli.Command{
		s.l7Scoreboard(), s.l7Models(),
		s.l7Reload(), s.l7Upgrade(), s.l7Reopen(), s.l7Stop(),
		s.l7Run(), s.l7Flush(), s.l7Validate(), s.l7Schema(),
	}
	for _, verb := range own {
		verb.OnUsageError = usageError
	}
	return &cli.Command{
		Name:  "l7",
		Usage: "what the processes of the HTTP plane do; signals to them; and 'l7 run'",
		Description: `A proxy is a master process and its workers. How many of these there are, and how many
threads each has, is the model's: prefork, worker, event or loop. 'lbctl l7 models'
explains them, and what a running lab shows of its own.`,
		Subcommands: own,
		Action: func(c *cli.Context) error {
			if word := c.Args().First(); word != "" {
				return unknownSubverb("l7", own, word)
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func unknownSubverb(verb string, own []*cli.Command, word string) error {
	var known []string
	for _, v := range own {
		known = append(known, v.Names()...)
	}
	if near := ctl.Nearest(word, known); len(near) > 0 {
		return usagef("%s: unknown verb %q; did you mean %q?", verb, word, near[0])
	}
	return usagef("%s: unknown verb %q; 'lbctl %[1]s --help' lists them", verb, word)
}

// l7Planes finds the open l7 planes of the lab or balancer that a verb acts on.
// node is one of two balancers, or empty for all.
func (s *shell) l7Planes(c *cli.Context, node string) (*session, []ctl.PlaneWorkers, error) {
	l, err := s.openDaemon(c)
	if err != nil {
		return nil, nil, err
	}
	st, err := l.status(c.Context) // which tells how to mend a dead daemon
	if err != nil {
		return nil, nil, err
	}
	all, err := l.client.Workers(c.Context)
	if err != nil {
		return nil, nil, err
	}
	if len(all) == 0 {
		return nil, nil, codef(exitNotFound, "%s has no proxy: no service of plane l7 has ever asked for one", whose(st))
	}
	if node == "" {
		return l, all, nil
	}
	one, ok := find(all, func(p ctl.PlaneWorkers) bool { return p.Node == node })
	if !ok {
		return nil, nil, codef(exitNotFound, "%s has no proxy on %q: want --node of one of two balancers", whose(st), node)
	}
	return l, []ctl.PlaneWorkers{one}, nil
}

// nodeFlag is on the verbs that act on the proxies of two balancers alike.
func (s *shell) nodeFlag() cli.Flag {
	return &cli.StringFlag{Name: "node", Usage: "only of this `BALANCER`, where there are two"}
}
