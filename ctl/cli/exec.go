package cli

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/urfave/cli/v2"
)

func (s *shell) exec() *cli.Command {
	return &cli.Command{
		Name:      "exec",
		Usage:     "run a command inside a node's network namespace",
		ArgsUsage: "NODE -- CMD [ARG…]",
		Description: `The command takes the place of lbctl: its exit code, its terminal and its signals
are its own. Only the network is the node's; files and processes are the host's.

   lbctl exec c1 -- curl -s http://198.18.3.1/
   lbctl exec lb1 -- tcpdump -ni eth0`,
		SkipFlagParsing: true, // every word behind the node is the command's
		BashComplete:    completeWith(s.nodeNames),
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
			if err != nil {
				return withCode(exitNotFound, err)
			}
			path, err := exec.LookPath(args[1])
			if err != nil {
				return fmt.Errorf("exec in %s: %w", args[0], err)
			}
			return node.Do(func() error {
				err := syscall.Exec(path, args[1:], os.Environ())
				return fmt.Errorf("exec %s in %s: %w", path, args[0], err)
			})
		},
	}
}
