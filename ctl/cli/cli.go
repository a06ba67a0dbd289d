// Package cli is the command line of lbctl: one verb per file, made of the
// typed client in ctl and of the rooms that build and measure a lab. It holds
// no state of its own.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"lbctl/ctl"
)

// shell is what every verb needs: where to read and write, and where labs live.
type shell struct {
	in       io.Reader
	out, err io.Writer
	screen   bool // out is a terminal that can be redrawn
	color    bool // out is a screen and NO_COLOR is unset
	terminal bool // err is a terminal: progress may redraw a line

	program string // how lbctl was called, if not as lbctl
}

// Main runs one command line and returns the process's exit code. It is the
// only entry: cmd/lbctl passes the process's own streams, tests pass buffers.
func Main(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	s := &shell{in: in, out: out, err: errOut, terminal: isTerminal(errOut)}
	s.screen = isTerminal(out) && os.Getenv("TERM") != "dumb"
	s.color = s.screen && os.Getenv("NO_COLOR") == ""
	app := s.app()
	if s.completeValue(app, args) {
		return exitOK
	}
	if calledIpvsadm(args) {
		s.program = args[0]
	}
	args = ipvsadmArgs(app, args)
	err := app.RunContext(ctx, interspersed(app, args))
	code := exitCode(ctx, err)
	if text := message(code, err); text != "" {
		fmt.Fprintln(errOut, "lbctl:", text)
	}
	return code
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (s *shell) app() *cli.App {
	return &cli.App{
		Name:                   "lbctl",
		Usage:                  "a load-balancer lab on one Linux machine",
		Version:                ctl.BuildVersion(),
		EnableBashCompletion:   true,
		UseShortOptionHandling: false,
		Reader:                 s.in,
		Writer:                 s.out,
		ErrWriter:              s.err,
		ExitErrHandler:         func(*cli.Context, error) {}, // Main decides
		OnUsageError:           usageError,
		CommandNotFound:        nil,
		Description: `Start with 'lbctl run FILE': it brings the lab of a scenario up, compares its
services, prints the report and takes the lab down. 'lbctl up FILE' leaves it up
for you to look at, break and repair.

` + exitCodeHelp,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "dir", Value: "/run/lbctl", EnvVars: []string{"LBCTL_RUN"}, Usage: "where labs keep their registry, sockets and logs"},
			&cli.StringFlag{Name: "lab", Aliases: []string{"l"}, EnvVars: []string{"LBCTL_LAB"}, Usage: "the lab, or the balancer of 'l4 run' or 'l7 run', to act on; not needed while there is only one"},
			&cli.StringFlag{Name: "socket", EnvVars: []string{"LBCTL_SOCKET"}, TakesFile: true, Usage: "the daemon to act on, by its socket: for a balancer whose folder is elsewhere"},
		},
		Commands: s.commands(),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return unknownVerb(c.App, c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
}

func (s *shell) commands() []*cli.Command {
	verbs := []*cli.Command{
		s.run(), s.up(), s.down(), s.list(), s.validate(), s.schema(), s.doctor(),
		s.status(), s.top(), s.stats(), s.events(), s.logs(), s.exec(),
		s.failover(), s.drain(), s.enable(), s.disable(), s.weight(),
		s.bench(), s.compare(), s.report(),
		s.ipvsadm(), s.l4(), s.l7(),
		s.completion(), s.version(),
		s.daemon(), s.proxy(), s.proxyWorker(), s.server(), s.load(),
	}
	for _, v := range verbs {
		v.OnUsageError = usageError
	}
	return verbs
}

// outputFlag is on every verb that prints data.
func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "table", Usage: "table, json or yaml", Action: func(_ *cli.Context, v string) error {
		if v != "table" && v != "json" && v != "yaml" {
			return usagef("output %q: want table, json or yaml", v)
		}
		return nil
	}}
}

// self is the path of the running binary: daemons, servers and generators of
// a lab are the same binary under a hidden verb.
func self() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find own binary: %w", err)
	}
	return filepath.EvalSymlinks(path)
}
