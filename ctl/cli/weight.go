package cli

import (
	"strconv"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
)

func (s *shell) weight() *cli.Command {
	return &cli.Command{
		Name:      "weight",
		Usage:     "set a backend's weight",
		ArgsUsage: "BACKEND WEIGHT",
		Description: `Weight 0 gives a backend nothing new and lets it keep what it has. A weight set
here lasts until the scenario file's own weight of the backend changes.
` + memberHelp,
		Flags:        []cli.Flag{outputFlag(), applyDeadline()},
		BashComplete: completeWith(s.backendNames),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "BACKEND", "WEIGHT"); err != nil {
				return err
			}
			n, err := strconv.ParseUint(c.Args().Get(1), 10, 31)
			if err != nil {
				return usagef("weight %q: want a whole number from 0 to %d", c.Args().Get(1), ctl.MaxWeight)
			}
			w := uint32(n)
			_, found, err := s.patch(c, ctl.BackendPatch{Weight: &w})
			if err != nil {
				return err
			}
			return s.said(c, found, "weight "+strconv.FormatUint(n, 10))
		},
	}
}
