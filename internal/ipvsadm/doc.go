// Package ipvsadm is the grammar and the handwriting of ipvsadm 1.31: what its
// command lines mean, what it prints, and how it fails. It is pure: a command
// line becomes a Command, a Command changes or lists a Table, and nothing here
// touches a kernel, a file or the network. Names are looked up by the caller.
//
// Inside this package the words are ipvsadm's own: a service has a scheduler
// and destinations. lab.go is the one place where they meet the words of lb.
//
// What ipvsadm does was learnt from its manual page, from its source, of which
// no line is here, and by running it over IPVS in a guest; testdata holds what
// it answered there.
package ipvsadm

import "fmt"

// Error is an answer on standard error and the exit code that goes with it.
type Error struct {
	Code int
	Text string
}

func (e *Error) Error() string { return e.Text }

// The exit codes of ipvsadm. It returns -1 from main where the kernel refuses.
const (
	exitList    = 1   // nothing there to list
	exitUsage   = 2   // the words contradict each other
	exitRefused = 255 // options that do not parse, or a change that is refused
)

func fail(code int, format string, args ...any) *Error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

// Refused is a change that this load balancer cannot make, with ipvsadm's exit
// code of one that the kernel refuses.
func Refused(format string, args ...any) *Error { return fail(exitRefused, format, args...) }
