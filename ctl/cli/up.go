package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/internal/lab"
	"lbctl/internal/scenario"
)

// scenarioFile keeps the resolved scenario in the lab's folder, for the verbs that measure.
const scenarioFile = "scenario.json"

func (s *shell) up() *cli.Command {
	return &cli.Command{
		Name:      "up",
		Usage:     "bring the lab of a scenario up, or change a running one to match its file",
		ArgsUsage: "FILE",
		Description: `Prints what it will create, looks whether this machine can, creates it, and returns
once both planes have applied the configuration and every check has judged. Run
again it changes only what differs: "0 changes" if nothing does.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "plan", Usage: "only print what would be done"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print errors only"},
			&cli.DurationFlag{Name: "timeout", Value: time.Minute, Usage: "how long to wait for the planes and the checks"},
			&cli.BoolFlag{Name: "foreground", Usage: "stay as long as the lab; SIGINT and SIGTERM take it down (for containers)"},
			&cli.StringFlag{Name: "api", Usage: "publish the API on this ADDRESS:PORT too; needs --token-file"},
			&cli.StringFlag{Name: "token-file", Usage: "file with the bearer token that --api asks for"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "FILE"); err != nil {
				return err
			}
			sc, err := loadScenario(c.Args().First())
			if err != nil {
				return err
			}
			options, err := s.labOptions(c)
			if err != nil {
				return err
			}
			b := &builder{
				shell: s, options: options, scenario: sc, timeout: c.Duration("timeout"),
				api: c.String("api"), tokenFile: c.String("token-file"), out: s.out,
			}
			if c.Bool("quiet") {
				b.out = io.Discard
			}
			if c.Bool("plan") {
				return b.printPlan()
			}
			if c.Bool("foreground") {
				defer untilHangup(c)()
				return b.stay(c.Context)
			}
			err = b.up(c.Context)
			if err != nil && c.Context.Err() != nil && b.begun {
				return codef(exitInterrupted, "up: interrupted; 'lbctl up FILE' goes on with lab %s, 'lbctl down %s' removes what there is", sc.Name, sc.Name)
			}
			if err == nil {
				b.printNext()
			}
			return err
		},
	}
}

func (b *builder) printNext() {
	client := "c1"
	for _, n := range b.scenario.Topology.Nodes {
		if n.Role == scenario.RoleClient {
			client = n.Name
			break
		}
	}
	fmt.Fprintln(b.out)
	t := &tableWriter{color: b.color}
	for _, svc := range b.scenario.Config.Services {
		t.row("  "+svc.Name, svc.Address(), fmt.Sprintf("%s, %s, %s", svc.Plane, svc.Policy, count(len(svc.Backends), "backend")))
	}
	_ = t.flush(b.out)
	lbctl := "  lbctl "
	if labs, err := lab.List(b.options); err == nil && len(labs) > 1 {
		lbctl += "--lab " + b.scenario.Name + " "
	}
	t = &tableWriter{color: b.color}
	t.line("")
	t.line("where to go next:")
	for _, next := range [][2]string{
		{"status", "services, backends, health"},
		{"compare", "measure the services side by side"},
		{"top", "watch rates"},
		{"exec " + client + " -- CMD", "run a command where the client is"},
		{"drain BACKEND", "take a backend out gently"},
		{"down " + b.scenario.Name, "take the lab down"},
	} {
		t.row(lbctl+next[0], cell{next[1], dim})
	}
	_ = t.flush(b.out)
}
