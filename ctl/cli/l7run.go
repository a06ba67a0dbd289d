package cli

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/lb"
	"lbctl/internal/scenario"
	"lbctl/l7"
)

func (s *shell) l7Run() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "run the HTTP plane on this machine, as a service in the foreground",
		Description: `Without a lab: FILE says where to listen and for which backends; docs/standalone.md
describes it. SIGHUP reads FILE anew: what is wrong with it is said with its place, and
then all stays as it is. SIGINT and SIGTERM end the daemon. Forwarding goes on without
it, in the proxy's own processes, and the next daemon adopts them; 'lbctl l7 flush' ends
it. Under systemd it says when it is ready, reloading, stopping and alive.`,
		Flags: []cli.Flag{
			configFlag(),
			&cli.StringFlag{Name: "log-level", Usage: "of the proxy's error log, in place of FILE's: `LEVEL` is " + strings.Join(lb.LogLevels, ", ")},
			&cli.BoolFlag{Name: "flush-on-exit", Usage: "end forwarding with the daemon, after the requests in flight"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			reload := make(chan os.Signal, 1)
			signal.Notify(reload, syscall.SIGHUP)
			defer signal.Stop(reload)
			running, err := loadL7Standalone(c)
			if err != nil {
				return err
			}
			config, err := l7StandaloneConfig(c, running)
			if err != nil {
				return err
			}
			config.Flush = c.Bool("flush-on-exit")
			config.Load = func() (lb.Config, error) {
				next, err := loadL7Standalone(c)
				if err == nil {
					err = running.Restart(next)
				}
				if err != nil {
					fmt.Fprintln(s.err, err) // as it is meant to be read: with lines and carets
					return lb.Config{}, err
				}
				return next.Config, nil
			}
			return ctl.RunStandalone(c.Context, config, reload)
		},
	}
}

func (s *shell) l7Flush() *cli.Command {
	return &cli.Command{
		Name:      "flush",
		Usage:     "end the forwarding that an ended 'l7 run' has left, and remove its state",
		ArgsUsage: "[BALANCER]",
		Description: `The balancer is that of --config FILE, or, by its name, one whose dir is where it is
unless a file says otherwise. Requests in flight are answered, for ten seconds at most.`,
		Flags: []cli.Flag{configFlag()},
		Action: func(c *cli.Context) error {
			balancer := &scenario.L7Standalone{Name: c.Args().First()}
			switch {
			case c.NArg() > 1 || (c.NArg() == 1) == c.IsSet("config"):
				return usagef("%s: want either a balancer's name or --config FILE", verbOf(c))
			case c.NArg() == 1 && filepath.Base(balancer.Name) != balancer.Name:
				return usagef("%s: balancer %q: want a name", verbOf(c), balancer.Name)
			case c.NArg() == 0:
				var err error
				if balancer, err = loadL7Standalone(c); err != nil {
					return err
				}
			}
			config, err := l7StandaloneConfig(c, balancer)
			if err != nil {
				return err
			}
			if _, err := os.Stat(config.Dir); os.IsNotExist(err) {
				return codef(exitNotFound, "there is no balancer %s: no %s", config.Name, config.Dir)
			}
			if err := ctl.FlushStandalone(config); err != nil {
				return err
			}
			fmt.Fprintf(s.out, "balancer %s forwards no more\n", config.Name)
			return nil
		},
	}
}

func (s *shell) l7Validate() *cli.Command {
	return &cli.Command{
		Name:      "validate",
		Usage:     "check files for 'l7 run' without touching anything",
		ArgsUsage: "FILE…",
		Description: `Every mistake is reported with file, line, column and the source line, as problems in
-o json. Exits 3 if any file has one.`,
		Flags: []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			return s.validateFiles(c, func(file string) (string, error) {
				b, err := scenario.LoadL7Standalone(file, l7.Validate)
				if err != nil {
					return "", err
				}
				return fmt.Sprintf("balancer %s: model %s, %s", b.Name, shapeText(b.L7), count(len(b.Config.Services), "service")), nil
			})
		},
	}
}

func (s *shell) l7Schema() *cli.Command {
	return &cli.Command{
		Name:  "schema",
		Usage: "print the JSON Schema of files for 'l7 run', for editors",
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			_, err := s.out.Write(scenario.L7StandaloneSchema())
			return err
		},
	}
}

// loadL7Standalone reads the file of --config; what is wrong with it exits 3.
func loadL7Standalone(c *cli.Context) (*scenario.L7Standalone, error) {
	file := c.String("config")
	if file == "" {
		return nil, usagef("%s: missing --config FILE; see 'lbctl %[1]s --help'", verbOf(c))
	}
	balancer, err := scenario.LoadL7Standalone(file, l7.Validate)
	if err != nil {
		return nil, withCode(exitInvalid, err)
	}
	if level := c.String("log-level"); level != "" {
		balancer.L7.LogLevel = level
		if err := balancer.L7.CheckTyped(); err != nil {
			return nil, usagef("%s: %w", verbOf(c), err)
		}
	}
	return balancer, nil
}

func l7StandaloneConfig(c *cli.Context, b *scenario.L7Standalone) (ctl.StandaloneConfig, error) {
	path, err := self()
	if err != nil {
		return ctl.StandaloneConfig{}, err
	}
	return placed(c, ctl.StandaloneConfig{
		Name: b.Name, Dir: b.Dir, API: b.API.Addr, TokenFile: b.API.TokenFile, Config: b.Config,
		Plane: ctl.StandaloneL7{Shape: b.L7, Self: path},
	}, l7StandaloneDir)
}
