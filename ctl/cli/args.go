package cli

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// interspersed moves a verb's flags in front of its arguments, because people
// write `lbctl drain s1 --deadline 5s` and the flag package stops at the first
// argument. What follows "--", and all that follows the node of `exec`, stays.
func interspersed(app *cli.App, args []string) []string {
	verbAt := verbIndex(app, args)
	if verbAt < 0 || args[len(args)-1] == "--generate-bash-completion" {
		return args
	}
	verb := app.Command(args[verbAt])
	if verb == nil || verb.SkipFlagParsing {
		return args
	}
	var flags, rest []string
	for i := verbAt + 1; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			rest = append(rest, args[i:]...)
			i = len(args)
		case len(a) > 1 && a[0] == '-' && !isNumber(a):
			flags = append(flags, a)
			if takesValue(verb.Flags, a) && i+1 < len(args) {
				i++
				flags = append(flags, args[i])
			}
		default:
			rest = append(rest, a)
		}
	}
	out := append([]string{}, args[:verbAt+1]...)
	return append(append(out, flags...), rest...)
}

func verbIndex(app *cli.App, args []string) int {
	for i := 1; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			return i
		}
		if takesValue(app.Flags, args[i]) {
			i++
		}
	}
	return -1
}

// takesValue reports whether the flag word needs the next argument as its value.
func takesValue(flags []cli.Flag, word string) bool {
	name := strings.TrimLeft(word, "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name {
				_, isBool := f.(*cli.BoolFlag)
				return !isBool
			}
		}
	}
	return false
}

func isNumber(word string) bool { return word[1] >= '0' && word[1] <= '9' }
