package cli

import "github.com/urfave/cli/v2"

func (s *shell) l4() *cli.Command {
	return s.ipvsadmVerb("l4", "the same as ipvsadm: L4 services, servers and their counters")
}
