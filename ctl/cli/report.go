package cli

import (
	"path/filepath"
	"sort"

	"github.com/urfave/cli/v2"

	"lbctl/internal/report"
)

func (s *shell) report() *cli.Command {
	return &cli.Command{
		Name:        "report",
		Usage:       "print a kept measurement again",
		ArgsUsage:   "[FILE]",
		Description: `Without FILE: the newest one in the results folder. No lab needs to be up.`,
		Flags: []cli.Flag{
			outputFlag(),
			&cli.StringFlag{Name: "results", Value: "results", Usage: "folder that keeps measurements"},
		},
		Action: func(c *cli.Context) error {
			path := c.Args().First()
			switch c.NArg() {
			case 0:
				files, err := filepath.Glob(filepath.Join(c.String("results"), "*.json"))
				if err != nil || len(files) == 0 {
					return codef(exitNotFound, "no measurement in %s; 'lbctl compare' makes one", c.String("results"))
				}
				sort.Strings(files) // names begin with their date
				path = files[len(files)-1]
			case 1:
			default:
				return wantArgs(c, "FILE")
			}
			m, err := report.Load(path)
			if err != nil {
				return err
			}
			return s.printReport(c, report.Analyze(m))
		},
	}
}

func (s *shell) printReport(c *cli.Context, r *report.Report) error {
	if c.String("output") == "table" {
		return r.WriteTable(s.out, s.color)
	}
	return s.print(c, r, nil)
}
