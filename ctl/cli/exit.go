package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// Exit codes. Scripts rely on them, so a number never changes its meaning.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInvalid     = 3
	exitNotFound    = 4
	exitUnable      = 5
	exitDeadline    = 6
	exitInterrupted = 130
)

const exitCodeHelp = `Exit codes: 0 done; 1 failed; 2 wrong usage; 3 invalid scenario; 4 no such lab,
node, service or backend; 5 this machine cannot (see 'lbctl doctor'); 6 a deadline
passed; 130 interrupted.`

// coded is an error that knows its exit code.
type coded struct {
	code int
	err  error
}

func (c coded) Error() string { return c.err.Error() }
func (c coded) Unwrap() error { return c.err }

// errSilent ends a command whose findings are already printed.
var errSilent = errors.New("already said")

func withCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return coded{code, err}
}

func codef(code int, format string, args ...any) error {
	return coded{code, fmt.Errorf(format, args...)}
}

func usagef(format string, args ...any) error { return codef(exitUsage, format, args...) }

func exitCode(ctx context.Context, err error) int {
	var c coded
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &c):
		return c.code
	}
	return exitFailed
}

func usageError(c *cli.Context, err error, _ bool) error {
	help := "lbctl --help"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != "lbctl" {
		help = "lbctl " + c.Command.Name + " --help"
	}
	return usagef("%w; see '%s'", err, help)
}

func unknownVerb(app *cli.App, word string) error {
	best, distance := "", 3
	for _, v := range app.VisibleCommands() {
		if d := editDistance(word, v.Name); d < distance {
			best, distance = v.Name, d
		}
	}
	if best != "" {
		return usagef("unknown verb %q; did you mean %q?", word, best)
	}
	return usagef("unknown verb %q; 'lbctl --help' lists them", word)
}

// editDistance is Levenshtein's distance, on bytes: verbs are ASCII.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// wantArgs refuses a wrong number of arguments, naming what is missing.
func wantArgs(c *cli.Context, names ...string) error {
	if c.NArg() < len(names) {
		return usagef("%s: missing %s; see 'lbctl %s --help'", c.Command.Name, strings.Join(names[c.NArg():], " "), c.Command.Name)
	}
	if c.NArg() > len(names) {
		return usagef("%s: unexpected argument %q; see 'lbctl %s --help'", c.Command.Name, c.Args().Get(len(names)), c.Command.Name)
	}
	return nil
}
