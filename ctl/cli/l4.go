package cli

import "github.com/urfave/cli/v2"

// l4 speaks as ipvsadm does, and has verbs of its own for a plane outside of labs.
func (s *shell) l4() *cli.Command {
	verb := s.ipvsadmVerb("l4", "the same as ipvsadm: L4 services, servers and their counters; and 'l4 run'")
	verb.Subcommands = []*cli.Command{s.l4Run(), s.l4Flush(), s.l4Validate(), s.l4Schema(), s.l4Flows()}
	for _, own := range verb.Subcommands {
		own.OnUsageError = usageError
	}
	return verb
}
