package cli

import (
	"github.com/urfave/cli/v2"

	"lbctl/internal/lb"
)

func (s *shell) enable() *cli.Command {
	return &cli.Command{
		Name:         "enable",
		Usage:        "let a drained or disabled backend take work again",
		ArgsUsage:    "BACKEND",
		Description:  memberHelp,
		Flags:        []cli.Flag{outputFlag(), applyDeadline()},
		BashComplete: completeWith(s.backendNames),
		Action: func(c *cli.Context) error {
			_, found, err := s.setAdmin(c, lb.Enabled)
			if err != nil {
				return err
			}
			return s.said(c, found, "enabled")
		},
	}
}
