package cli

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"lbctl/internal/lab"
)

// What shells say of a command that they could not run.
const (
	exitCannotExec = 126
	exitNoCommand  = 127
)

func (s *shell) exec() *cli.Command {
	return &cli.Command{
		Name:      "exec",
		Usage:     "run a command inside a node's network namespace",
		ArgsUsage: "NODE -- CMD [ARG…]",
		Description: `The command takes the place of lbctl: its exit code, its terminal and its signals
are its own. Only the network is the node's; files and processes are the host's.
As with a shell, 127 says that there is no such command, 126 that it cannot be run.

   lbctl exec c1 -- curl -s http://198.18.3.1/
   lbctl exec lb1 -- tcpdump -ni eth0`,
		SkipFlagParsing: true, // every word behind the node is the command's
		BashComplete: completeWith(func(c *cli.Context) []string {
			if c.NArg() > 1 {
				return nil // the command's own words; the shell offers files
			}
			return s.nodeNames(c)
		}),
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			if len(args) > 0 && (args[0] == "--help" || args[0] == "-h") {
				return cli.ShowSubcommandHelp(c)
			}
			if len(args) > 1 && args[1] == "--" {
				args = append(args[:1], args[2:]...)
			}
			if len(args) < 2 {
				return usagef("exec: want NODE -- CMD; see 'lbctl exec --help'")
			}
			l, err := s.openLab(c)
			if err != nil {
				return err
			}
			node, err := l.lab.Node(args[0])
			if errors.Is(err, lab.ErrNoNode) {
				return codef(exitNotFound, "lab %s has no node %q; it has %s", l.name, args[0], strings.Join(s.nodeNames(c), ", "))
			}
			if err != nil {
				return err
			}
			path, err := exec.LookPath(args[1])
			if errors.Is(err, fs.ErrPermission) {
				return codef(exitCannotExec, "exec in %s: %w", args[0], err)
			}
			if err != nil {
				return codef(exitNoCommand, "exec in %s: %w", args[0], err)
			}
			return node.Do(func() error {
				err := syscall.Exec(path, args[1:], os.Environ())
				return codef(exitCannotExec, "exec %s in %s: %w", path, args[0], err)
			})
		},
	}
}
