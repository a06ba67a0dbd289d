package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/internal/lab"
	"lbctl/internal/scenario"
	"lbctl/internal/traffic"
)

func (s *shell) run() *cli.Command {
	return &cli.Command{
		Name:        "run",
		Usage:       "up, compare, report, down",
		ArgsUsage:   "FILE",
		Description: `The lab is taken down again whatever happens, also after Ctrl-C.`,
		Flags: append(measureFlags(),
			&cli.DurationFlag{Name: "timeout", Value: time.Minute, Usage: "how long to wait for the planes and the checks"}),
		Action: func(c *cli.Context) (err error) {
			if err := wantArgs(c, "FILE"); err != nil {
				return err
			}
			sc, err := loadScenario(c.Args().First())
			if err != nil {
				return err
			}
			if len(sc.Compare.Services) == 0 {
				return withCode(exitInvalid, fmt.Errorf("%s: scenario %s has nothing to compare: add 'compare:' to it", c.Args().First(), sc.Name))
			}
			p, err := plan(c, sc, sc.Compare.Services)
			if err != nil {
				return err
			}
			return s.runScenario(c, sc, p)
		},
	}
}

// runScenario takes down what it brought up, also after Ctrl-C, and nothing else.
func (s *shell) runScenario(c *cli.Context, sc *scenario.Scenario, p traffic.Plan) (err error) {
	options, err := s.labOptions(c)
	if err != nil {
		return err
	}
	defer untilHangup(c)()
	b := &builder{shell: s, options: options, scenario: sc, timeout: c.Duration("timeout"), out: s.err, fresh: true}
	defer func() {
		if !b.begun {
			return
		}
		if c.Context.Err() != nil {
			fmt.Fprintln(s.err, "interrupted: taking the lab down; interrupt again to leave it as it is")
		}
		if downErr := s.takeDown(options, sc.Name); downErr != nil {
			err = errors.Join(err, downErr)
			return
		}
		fmt.Fprintf(s.err, "lab %s is down\n", sc.Name)
	}()
	if err := b.up(c.Context); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	l, err := lab.Open(options, sc.Name)
	if err != nil {
		return err
	}
	return s.measure(c, &session{lab: l, name: sc.Name, client: b.client}, p)
}
