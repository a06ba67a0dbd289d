package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"lbctl/internal/lab"
)

func (s *shell) down() *cli.Command {
	return &cli.Command{
		Name:      "down",
		Usage:     "take a lab down: its processes, programs, namespaces and files",
		ArgsUsage: "[LAB]",
		Description: `Needs no scenario file, only what the lab's registry says; it works after anything
was killed at any moment, and removes nothing that the lab did not create.`,
		Flags:        []cli.Flag{&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "every lab of this machine"}},
		BashComplete: completeWith(s.labNames),
		Action: func(c *cli.Context) error {
			options, err := s.labOptions(c)
			if err != nil {
				return err
			}
			names, err := s.labsToEnd(c, options)
			if err != nil {
				return err
			}
			var failed []error
			for _, name := range names {
				done := "lab %s is down\n"
				if _, err := lab.Open(options, name); errors.Is(err, lab.ErrNoLab) {
					done = "there was no lab %s\n" // yet what a kill left of its making goes
				}
				if err := lab.Down(c.Context, options, name); err != nil {
					failed = append(failed, err)
					continue
				}
				fmt.Fprintf(s.out, done, name)
			}
			if c.Bool("all") {
				failed = append(failed, lab.SweepLocks(options))
			}
			return errors.Join(failed...)
		},
	}
}

func (s *shell) labsToEnd(c *cli.Context, options lab.Options) ([]string, error) {
	if c.Bool("all") {
		if c.NArg() > 0 {
			return nil, usagef("down: either a lab or --all")
		}
		labs, err := lab.List(options)
		var names []string
		for _, l := range labs {
			names = append(names, l.Name)
		}
		return names, err
	}
	if c.NArg() > 1 {
		return nil, wantArgs(c, "LAB")
	}
	name := c.Args().First()
	if name == "" {
		name = c.String("lab")
	}
	if name == "" {
		only, err := onlyLab(options)
		return []string{only}, err
	}
	return []string{name}, nil
}

// takeDown is `down` for a verb that brought the lab up itself: it runs to its
// end even after Ctrl-C.
func (s *shell) takeDown(options lab.Options, name string) error {
	return lab.Down(context.Background(), options, name)
}
