package cli

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// The scripts that come with ipvsadm, which call it: a binary by such a name
// does what they do.
const (
	ipvsadmSave    = "ipvsadm-save"
	ipvsadmRestore = "ipvsadm-restore"
)

// calledIpvsadm reports whether the binary is called by one of ipvsadm's names.
func calledIpvsadm(args []string) bool {
	return filepath.Base(args[0]) == ipvsadmName || isIpvsadmScript(args[0])
}

func isIpvsadmScript(program string) bool {
	name := filepath.Base(program)
	return name == ipvsadmSave || name == ipvsadmRestore
}

// ipvsadmScript returns the command line of ipvsadm that a script runs, and what
// it reads. ok is false where it runs none.
func (s *shell) ipvsadmScript(program string, args []string) (command []string, in io.Reader, ok bool) {
	if filepath.Base(program) == ipvsadmRestore {
		// The script clears the table first; here the table changes once.
		return []string{"-R"}, io.MultiReader(strings.NewReader("-C\n"), &uncommented{from: s.in}), true
	}
	command = []string{"-S"}
	for _, arg := range args {
		switch {
		case arg == "-n":
			command = []string{"-S", "-n"}
		case strings.HasPrefix(arg, "-"):
			fmt.Fprintf(s.err, "%s: Script to save the IPVS table to stdout.\n   With the -n option, prints out the table in numeric format.\n", ipvsadmSave)
			return nil, nil, false
		}
	}
	return command, s.in, true
}

// uncommented leaves lines out that begin with #, once all has been read.
type uncommented struct {
	from io.Reader
	text *bytes.Reader
}

func (u *uncommented) Read(p []byte) (int, error) {
	if u.text == nil {
		all, err := io.ReadAll(u.from)
		if err != nil {
			return 0, err
		}
		var kept []byte
		for line := range bytes.Lines(all) {
			if !bytes.HasPrefix(line, []byte("#")) {
				kept = append(kept, line...)
			}
		}
		u.text = bytes.NewReader(kept)
	}
	return u.text.Read(p)
}
