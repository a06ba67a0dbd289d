package ipvsadm

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Kernel is what commands act on: IPVS itself to ipvsadm, a lab to lbctl.
type Kernel interface {
	// Do makes a change, or says why not. It need not take effect before Commit.
	Do(Command) error
	// List prints what a List or Save command asks for, earlier changes included.
	List(io.Writer, Command) error
	// Commit makes what was done take effect.
	Commit() error
}

// Call is one call of ipvsadm.
type Call struct {
	Program  string // as typed, for messages
	Args     []string
	Names    Names
	In       io.Reader
	Out, Err io.Writer
	Help     string // what -h prints
	Version  string // what -v prints
}

// Run carries the call out and returns its exit code.
func (c Call) Run(k Kernel) int {
	command, err := Parse(c.Program, c.Args, c.Names)
	if err == nil && command.Op == Restore {
		return c.restore(k)
	}
	if err == nil {
		err = c.one(k, command)
	}
	return cmp.Or(c.code(err), c.code(k.Commit()))
}

func (c Call) one(k Kernel, command Command) error {
	switch command.Op {
	case Help:
		_, err := io.WriteString(c.Out, c.Help)
		return err
	case Version:
		_, err := io.WriteString(c.Out, c.Version)
		return err
	case List, Save:
		return k.List(c.Out, command)
	}
	return k.Do(command)
}

// restore carries out the lines of standard input. The last one decides the
// exit code. A line that the kernel refuses and one with an unknown option are
// passed over, any other fault ends it: what came before has happened by then.
func (c Call) restore(k Kernel) int {
	text, err := io.ReadAll(c.In)
	if err != nil {
		return c.code(fmt.Errorf("read standard input: %w", err))
	}
	code := 0
	for _, words := range lines(string(text)) {
		command, err := Parse(c.Program, words, c.Names)
		if err == nil && command.Op == Restore {
			err = tryHelp(c.Program)
		}
		if err == nil {
			err = c.one(k, command)
		}
		code = c.code(err)
		if err != nil && fatal(err) || err == nil && (command.Op == Help || command.Op == Version) {
			break
		}
	}
	return cmp.Or(c.code(k.Commit()), code)
}

// code tells of an error and returns the exit code that it brings.
func (c Call) code(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(c.Err, err)
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return exitRefused
}

func fatal(err error) bool {
	var e *Error
	return !errors.As(err, &e) || e.Code != exitRefused || strings.HasPrefix(e.Text, tryText)
}
