package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"lbctl/internal/scenario"
)

// loadScenario reads a file and resolves it; whatever is wrong with it is the
// file's fault and exits 3.
func loadScenario(path string) (*scenario.Scenario, error) {
	spec, err := scenario.Load(path)
	if err != nil {
		return nil, withCode(exitInvalid, err)
	}
	sc, err := spec.Resolve()
	return sc, withCode(exitInvalid, err)
}

func (s *shell) validate() *cli.Command {
	return &cli.Command{
		Name:      "validate",
		Usage:     "check scenario files without touching anything",
		ArgsUsage: "FILE…",
		Description: `Every mistake is reported with file, line, column and the source line, as problems in
-o json. Exits 3 if any file has one.`,
		Flags: []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			return s.validateFiles(c, func(file string) (string, error) {
				sc, err := loadScenario(file)
				if err != nil {
					return "", err
				}
				return describe(sc), nil
			})
		},
	}
}

// validateFiles prints what look says of each file.
func (s *shell) validateFiles(c *cli.Context, look func(file string) (summary string, err error)) error {
	if c.NArg() == 0 {
		return usagef("%s: missing FILE; see 'lbctl %[1]s --help'", verbOf(c))
	}
	type verdict struct {
		File     string    `json:"file"`
		Valid    bool      `json:"valid"`
		Error    string    `json:"error,omitempty"` // the problems as they are printed
		Problems []problem `json:"problems"`
	}
	var all []verdict
	invalid := false
	summaries := map[string]string{}
	for _, file := range c.Args().Slice() {
		v := verdict{File: file, Valid: true, Problems: []problem{}}
		summary, err := look(file)
		if err != nil {
			v.Valid, v.Error, v.Problems, invalid = false, err.Error(), problemsOf(err), true
		}
		summaries[file] = summary
		all = append(all, v)
	}
	err := s.print(c, all, func(t *tableWriter) {
		for _, v := range all {
			if v.Valid {
				t.line("%s: ok: %s", v.File, summaries[v.File])
			} else {
				fmt.Fprintln(s.err, v.Error)
			}
		}
	})
	if err == nil && invalid {
		return withCode(exitInvalid, errSilent)
	}
	return err
}

// problem is one fault of a file.
type problem struct {
	Line    int    `json:"line,omitempty"` // as the next absent of the file as a whole
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
	Suggest string `json:"suggest,omitempty"` // what was probably meant
}

// problemsOf are those that keep a file from being read.
func problemsOf(err error) (problems []problem) {
	var faults scenario.Errors
	if !errors.As(err, &faults) {
		return []problem{{Message: err.Error()}}
	}
	for _, f := range faults {
		problems = append(problems, problem{f.Line, f.Column, f.Message, f.Suggest})
	}
	return problems
}

// describe sums a scenario up in a line.
func describe(sc *scenario.Scenario) string {
	roles := map[scenario.Role]int{}
	for _, n := range sc.Topology.Nodes {
		roles[n.Role]++
	}
	text := fmt.Sprintf("lab %s: ", sc.Name)
	for _, r := range []scenario.Role{scenario.RoleClient, scenario.RoleRouter, scenario.RoleBalancer, scenario.RoleServer} {
		if roles[r] > 0 {
			text += count(roles[r], string(r)) + ", "
		}
	}
	return text + count(len(sc.Topology.Networks), "network") + ", " + count(len(sc.Config.Services), "service")
}

// count writes "1 node", "2 nodes", "3 addresses".
func count(n int, noun string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(noun, "s"):
		noun += "es"
	default:
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
