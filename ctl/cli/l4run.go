package cli

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/lb"
	"lbctl/internal/scenario"
	"lbctl/l4"
)

func (s *shell) l4Run() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "run the l4 plane on this machine's own interfaces, as a service in the foreground",
		Description: `Without a lab: FILE says on which interfaces, for which services; docs/standalone.md
describes it. SIGHUP reads FILE anew: what is wrong with it is said with its place,
and then all stays as it is. SIGINT and SIGTERM end the daemon. Forwarding goes on
without it, and the next daemon adopts flows and counters; 'lbctl l4 flush' ends it.
Under systemd it says when it is ready, reloading, stopping and alive.`,
		Flags: []cli.Flag{
			configFlag(),
			&cli.BoolFlag{Name: "flush-on-exit", Usage: "end forwarding with the daemon"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			reload := make(chan os.Signal, 1)
			signal.Notify(reload, syscall.SIGHUP)
			defer signal.Stop(reload)
			running, err := loadStandalone(c)
			if err != nil {
				return err
			}
			if err := findInterfaces(running); err != nil {
				return withCode(exitInvalid, err)
			}
			config, err := standaloneConfig(c, running)
			if err != nil {
				return err
			}
			config.Flush = c.Bool("flush-on-exit")
			config.Load = func() (lb.Config, error) {
				next, err := loadStandalone(c)
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

func (s *shell) l4Flush() *cli.Command {
	return &cli.Command{
		Name:      "flush",
		Usage:     "end the forwarding that an ended 'l4 run' has left, and remove its state",
		ArgsUsage: "[BALANCER]",
		Description: `The balancer is that of --config FILE, or, by its name, one whose dir and pins are
where they are unless a file says otherwise. All its flows end at once.`,
		Flags: []cli.Flag{configFlag()},
		Action: func(c *cli.Context) error {
			balancer := &scenario.Standalone{Name: c.Args().First()}
			switch {
			case c.NArg() > 1 || (c.NArg() == 1) == c.IsSet("config"):
				return usagef("%s: want either a balancer's name or --config FILE", verbOf(c))
			case c.NArg() == 1 && filepath.Base(balancer.Name) != balancer.Name:
				return usagef("%s: balancer %q: want a name", verbOf(c), balancer.Name)
			case c.NArg() == 0:
				var err error
				if balancer, err = loadStandalone(c); err != nil {
					return err
				}
			}
			config, err := standaloneConfig(c, balancer)
			if err != nil {
				return err
			}
			if _, err := os.Stat(config.Dir); os.IsNotExist(err) {
				pins := config.Plane.(ctl.StandaloneL4).PinDir
				if pinned, err := l4.Pinned(pins); err != nil || !pinned {
					return codef(exitNotFound, "there is no balancer %s: neither %s nor %s", config.Name, config.Dir, pins)
				}
			}
			if err := ctl.FlushStandalone(config); err != nil {
				return err
			}
			fmt.Fprintf(s.out, "balancer %s forwards no more\n", config.Name)
			return nil
		},
	}
}

func (s *shell) l4Validate() *cli.Command {
	return &cli.Command{
		Name:      "validate",
		Usage:     "check files for 'l4 run' without touching anything",
		ArgsUsage: "FILE…",
		Description: `Every mistake is reported with file, line, column and the source line, as problems in
-o json. Exits 3 if any file has one.`,
		Flags: []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			return s.validateFiles(c, func(file string) (string, error) {
				b, err := scenario.LoadStandalone(file, l4.Validate)
				if err != nil {
					return "", err
				}
				return fmt.Sprintf("balancer %s: %s, %s", b.Name, count(len(b.Interfaces), "interface"), count(len(b.Config.Services), "service")), nil
			})
		},
	}
}

func (s *shell) l4Schema() *cli.Command {
	return &cli.Command{
		Name:  "schema",
		Usage: "print the JSON Schema of files for 'l4 run', for editors",
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			_, err := s.out.Write(scenario.StandaloneSchema())
			return err
		},
	}
}

func configFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "the balancer's `FILE`"}
}

// loadStandalone reads the file of --config; what is wrong with it exits 3.
func loadStandalone(c *cli.Context) (*scenario.Standalone, error) {
	file := c.String("config")
	if file == "" {
		return nil, usagef("%s: missing --config FILE; see 'lbctl %[1]s --help'", verbOf(c))
	}
	balancer, err := scenario.LoadStandalone(file, l4.Validate)
	return balancer, withCode(exitInvalid, err)
}

// findInterfaces refuses a name that no interface has: it is more often
// mistyped than late.
func findInterfaces(b *scenario.Standalone) error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	var known []string
	for _, i := range all {
		known = append(known, i.Name)
	}
	for _, name := range b.Interfaces {
		if _, ok := find(all, func(i net.Interface) bool { return i.Name == name }); !ok {
			return b.Refuse(name, known, fmt.Errorf("there is no interface %q", name))
		}
	}
	return nil
}

// Where a balancer's files are unless its configuration says otherwise. No lab
// can be called _l4 or _l7.
const (
	standaloneDir   = "_l4"
	l7StandaloneDir = "_l7"
	standalonePins  = "/sys/fs/bpf/lbctl"
)

func standaloneConfig(c *cli.Context, b *scenario.Standalone) (ctl.StandaloneConfig, error) {
	pins := b.Pins
	if pins == "" {
		pins = filepath.Join(standalonePins, b.Name)
	}
	config := ctl.StandaloneConfig{
		Name: b.Name, Dir: b.Dir, API: b.API.Addr, TokenFile: b.API.TokenFile, Config: b.Config,
		Plane: ctl.StandaloneL4{Options: l4.Options{Interfaces: b.Interfaces, Hook: b.Hook, PinDir: pins, MaxFlows: b.MaxFlows, LocalAddresses: b.Locals}},
	}
	return placed(c, config, standaloneDir)
}

// placed fills in where the balancer's folder is unless its file says otherwise, and
// where the file is.
func placed(c *cli.Context, config ctl.StandaloneConfig, folder string) (ctl.StandaloneConfig, error) {
	var err error
	if config.Dir == "" {
		if config.Dir, err = filepath.Abs(filepath.Join(c.String("dir"), folder, config.Name)); err != nil {
			return config, err
		}
	}
	config.File, err = filepath.Abs(c.String("config"))
	return config, err
}
