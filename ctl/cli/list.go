package cli

import (
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/internal/lab"
)

func (s *shell) list() *cli.Command {
	return &cli.Command{
		Name:    "list",
		Aliases: []string{"ls"},
		Usage:   "list the labs of this machine, also half-built and damaged ones",
		Flags:   []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			options, err := s.labOptions(c)
			if err != nil {
				return err
			}
			labs, err := lab.List(options)
			if err != nil {
				return err
			}
			return s.print(c, labs, func(t *tableWriter) {
				if len(labs) == 0 {
					t.line("no lab; 'lbctl up FILE' brings one up")
					return
				}
				t.head("LAB", "STATE", "NODES", "DAEMON", "AGE", "")
				for _, l := range labs {
					daemon := "dead"
					if l.Daemon {
						daemon = "alive"
					}
					age := ""
					if !l.Created.IsZero() {
						age = short(time.Since(l.Created))
					}
					t.row(cell{l.Name, bold}, l.State, l.Nodes, daemon, age, cell{l.Detail, dim})
				}
			})
		},
	}
}
