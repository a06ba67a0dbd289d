package cli

import (
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/internal/lb"
)

func (s *shell) disable() *cli.Command {
	return &cli.Command{
		Name:      "disable",
		Usage:     "take a backend out at once, with what it has",
		ArgsUsage: "BACKEND",
		Description: `A disabled backend gets nothing, not even for connections it already had; 'drain'
is the gentle way. ` + memberHelp,
		Flags:        []cli.Flag{outputFlag(), applyDeadline()},
		BashComplete: completeWith(s.backendNames),
		Action: func(c *cli.Context) error {
			_, found, err := s.setAdmin(c, lb.Disabled)
			if err != nil {
				return err
			}
			return s.said(c, found, "disabled")
		},
	}
}

// applyDeadline bounds the wait for the planes to have applied a change.
func applyDeadline() cli.Flag {
	return &cli.DurationFlag{Name: "deadline", Value: 10 * time.Second, Usage: "how long to wait until the planes have it; 0: do not wait"}
}
