package cli

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// interspersed moves flags to where the flag package looks for them, because
// people write `lbctl drain s1 --deadline 5s` and `lbctl status --lab x`, and it
// stops at the first argument: a verb's own in front of its arguments, the
// program's in front of the verb. What follows "--" stays, as does all that
// follows the node of `exec`.
func interspersed(app *cli.App, args []string) []string {
	verbAt := verbIndex(app, args)
	if verbAt < 0 || args[len(args)-1] == askCompletion {
		return args
	}
	verb := app.Command(args[verbAt])
	if verb == nil {
		return args
	}
	end := verbAt + 1 // of the verb, which may be two words
	if end < len(args) {
		if own := verb.Command(args[end]); own != nil {
			verb, end = own, end+1
		}
	}
	global := append([]string{}, args[:verbAt]...)
	var flags, rest []string
	for i := end; i < len(args); i++ {
		a := args[i]
		if !isFlag(a) || verb.SkipFlagParsing && !has(app.Flags, a) {
			if a == "--" || verb.SkipFlagParsing {
				rest = append(rest, args[i:]...)
				break
			}
			rest = append(rest, a)
			continue
		}
		of, to := verb.Flags, &flags
		bare := takesValue(app.Flags, a) && i+1 == len(args) // would take the verb for its value
		if !has(verb.Flags, a) && has(app.Flags, a) && !bare {
			of, to = app.Flags, &global
		}
		*to = append(*to, a)
		if takesValue(of, a) && i+1 < len(args) {
			i++
			*to = append(*to, args[i])
		}
	}
	return slices.Concat(global, args[verbAt:end], flags, rest)
}

// isFlag reports whether a word is a flag: neither "-", nor "--", nor a number.
func isFlag(word string) bool {
	return len(word) > 1 && word[0] == '-' && word != "--" && (word[1] < '0' || word[1] > '9')
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

// lookUp finds the flag that a word such as --lab or --lab=x names.
func lookUp(flags []cli.Flag, word string) (flag cli.Flag, ok bool) {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	return find(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
}

func has(flags []cli.Flag, word string) bool {
	_, ok := lookUp(flags, word)
	return ok
}

// takesValue reports whether the flag word needs the next argument as its value.
func takesValue(flags []cli.Flag, word string) bool {
	flag, ok := lookUp(flags, word)
	_, isBool := flag.(*cli.BoolFlag)
	return ok && !isBool && !strings.Contains(word, "=")
}
