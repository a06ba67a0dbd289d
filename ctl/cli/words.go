package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"lbctl/internal/lab"
	"lbctl/internal/lb"
	"lbctl/internal/scenario"
)

// completeWith offers words for a verb's argument, and its flags once a dash is
// typed. Completion never fails aloud.
func completeWith(words func(c *cli.Context) []string) cli.BashCompleteFunc {
	return func(c *cli.Context) {
		if n := len(os.Args); n > 2 && strings.HasPrefix(os.Args[n-2], "-") {
			cli.DefaultCompleteWithFlags(c.Command)(c)
			return
		}
		for _, w := range words(c) {
			fmt.Fprintln(c.App.Writer, w)
		}
	}
}

func (s *shell) labNames(c *cli.Context) (names []string) {
	options, err := s.labOptions(c)
	if err != nil {
		return nil
	}
	return labNames(options)
}

func labNames(options lab.Options) (names []string) {
	labs, _ := lab.List(options)
	for _, l := range labs {
		names = append(names, l.Name)
	}
	return names
}

func (s *shell) nodeNames(c *cli.Context) (names []string) {
	l, err := s.openLab(c)
	if err != nil {
		return nil
	}
	for _, n := range l.lab.Topology().Nodes {
		names = append(names, n.Name)
	}
	return names
}

func (s *shell) serviceNames(c *cli.Context) (names []string) {
	for _, svc := range s.services(c) {
		names = append(names, svc.Name)
	}
	return names
}

func (s *shell) backendNames(c *cli.Context) (names []string) {
	seen := map[string]bool{}
	for _, svc := range s.services(c) {
		for _, b := range svc.Backends {
			for _, word := range []string{b.Name, svc.Name + "/" + b.Name} {
				if !seen[word] {
					seen[word] = true
					names = append(names, word)
				}
			}
		}
	}
	return names
}

func (s *shell) balancerNames(c *cli.Context) (names []string) {
	l, err := s.openLab(c)
	if err != nil {
		return nil
	}
	for _, n := range l.lab.Topology().Nodes {
		if n.Role == scenario.RoleBalancer {
			names = append(names, n.Name)
		}
	}
	return names
}

// services are those of the lab that the verb would act on; none if that cannot be told.
func (s *shell) services(c *cli.Context) []lb.Service {
	l, err := s.openDaemon(c)
	if err != nil {
		return nil
	}
	defer l.client.Close()
	if l.lab == nil {
		config, _, _ := l.client.Config(c.Context)
		return config.Services
	}
	sc, err := l.scenario()
	if err != nil {
		return nil
	}
	return sc.Config.Services
}
