package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
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
	exitPipe        = 141 // what a shell says of SIGPIPE
)

const exitCodeHelp = `Exit codes: 0 done; 1 failed; 2 wrong usage; 3 invalid scenario; 4 no such lab,
node, service or backend; 5 this machine cannot (see 'lbctl doctor'); 6 a deadline
passed; 130 interrupted; 141 nobody reads the output.`

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
	case ctx.Err() != nil, errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &c):
		return c.code
	case brokenOutput(err):
		return exitPipe
	}
	return exitFailed
}

// brokenOutput reports whether the reader of a stream of ours went away. A
// socket's EPIPE is something else and comes in a net.OpError.
func brokenOutput(err error) bool {
	var write *fs.PathError
	return errors.As(err, &write) && errors.Is(write, syscall.EPIPE)
}

// message is what there is to say of an error; nothing of what is printed
// already or was the user's own doing, unless the verb has something to add.
func message(code int, err error) string {
	var c coded
	switch {
	case err == nil, errors.Is(err, errSilent), code == exitPipe:
		return ""
	case code == exitInterrupted:
		if errors.As(err, &c) && c.code == exitInterrupted {
			return c.Error()
		}
		return ""
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		return err.Error() + "; labs are root's: sudo lbctl …"
	}
	return err.Error()
}

func usageError(c *cli.Context, err error, _ bool) error {
	help := "lbctl --help"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != "lbctl" {
		help = "lbctl " + verbOf(c) + " --help"
	}
	return usagef("%w; see '%s'", err, help)
}

// verbOf is "status", or "l4 run": the command without the program's name.
func verbOf(c *cli.Context) string {
	_, verb, _ := strings.Cut(c.Command.HelpName, " ")
	return verb
}

func unknownVerb(app *cli.App, word string) error {
	var known []string
	for _, v := range app.VisibleCommands() {
		known = append(known, v.Name)
	}
	if near := ctl.Nearest(word, known); len(near) > 0 {
		return usagef("unknown verb %q; did you mean %q?", word, near[0])
	}
	return usagef("unknown verb %q; 'lbctl --help' lists them", word)
}

// wantArgs refuses a wrong number of arguments, naming what is missing.
func wantArgs(c *cli.Context, names ...string) error {
	if c.NArg() < len(names) {
		return usagef("%s: missing %s; see 'lbctl %s --help'", verbOf(c), strings.Join(names[c.NArg():], " "), verbOf(c))
	}
	if c.NArg() > len(names) {
		return usagef("%s: unexpected argument %q; see 'lbctl %s --help'", verbOf(c), c.Args().Get(len(names)), verbOf(c))
	}
	return nil
}
