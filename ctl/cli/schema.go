package cli

import (
	"github.com/urfave/cli/v2"

	"lbctl/internal/scenario"
)

func (s *shell) schema() *cli.Command {
	return &cli.Command{
		Name:  "schema",
		Usage: "print the JSON Schema of scenario files, for editors",
		Description: `Save it and point your editor at it, for example with this first line in a
scenario (yaml-language-server):

   # yaml-language-server: $schema=lbctl.schema.json`,
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			_, err := s.out.Write(append(scenario.Schema(), '\n'))
			return err
		},
	}
}
