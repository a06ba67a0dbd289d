package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"lbctl/internal/lab"
)

// askCompletion is the flag by which a script asks, behind the words so far.
const askCompletion = "--generate-bash-completion"

// Each script asks lbctl itself what may come next, so completion never goes
// stale. A bare "--" is asked about as "-", since it ends the flags of a command.
const bashCompletion = `_lbctl() {
  local words=("${COMP_WORDS[@]:0:COMP_CWORD}") cur="${COMP_WORDS[COMP_CWORD]}" opts
  if [[ "$cur" == -- ]]; then words+=(-); elif [[ "$cur" == -* ]]; then words+=("$cur"); fi
  opts=$("${words[@]}" --generate-bash-completion 2>/dev/null)
  COMPREPLY=($(compgen -W "$opts" -- "$cur"))
}
complete -o bashdefault -o default -F _lbctl lbctl
`

const zshCompletion = `#compdef lbctl
_lbctl() {
  local -a opts
  local cur=${words[CURRENT]}
  local -a asked=("${(@)words[1,CURRENT-1]}")
  if [[ "$cur" == -- ]]; then asked+=(-); elif [[ "$cur" == -* ]]; then asked+=("$cur"); fi
  opts=("${(@f)$("${asked[@]}" --generate-bash-completion 2>/dev/null)}")
  if [[ -n "${opts[1]}" ]]; then compadd -- "${opts[@]}"; else _files; fi
}
compdef _lbctl lbctl
`

func (s *shell) completion() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print a completion script for bash, zsh or fish",
		ArgsUsage: "SHELL",
		Description: `bash:  source <(lbctl completion bash)
zsh:   source <(lbctl completion zsh)
fish:  lbctl completion fish | source`,
		BashComplete: func(c *cli.Context) {
			for _, sh := range []string{"bash", "zsh", "fish"} {
				fmt.Fprintln(c.App.Writer, sh)
			}
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, "SHELL"); err != nil {
				return err
			}
			switch sh := c.Args().First(); sh {
			case "bash":
				_, err := io.WriteString(s.out, bashCompletion)
				return err
			case "zsh":
				_, err := io.WriteString(s.out, zshCompletion)
				return err
			case "fish":
				script, err := c.App.ToFishCompletion()
				if err != nil {
					return err
				}
				_, err = io.WriteString(s.out, script)
				return err
			default:
				return usagef("completion: no script for %q: want bash, zsh or fish", sh)
			}
		},
	}
}

// completeValue offers the values of the flag that the words end with; ok is
// false if they end otherwise. The flag package would complete nothing there.
func (s *shell) completeValue(app *cli.App, args []string) (ok bool) {
	n := len(args) - 2
	if n < 1 || args[n+1] != askCompletion {
		return false
	}
	flags := app.Flags
	if at := verbIndex(app, args[:n]); at > 0 && app.Command(args[at]) != nil {
		verb := app.Command(args[at])
		if at+1 < n && verb.Command(args[at+1]) != nil { // the verb is two words
			verb = verb.Command(args[at+1])
		}
		flags = slices.Concat(flags, verb.Flags)
	}
	flag, known := lookUp(flags, args[n])
	if !known || !strings.HasPrefix(args[n], "-") || !takesValue(flags, args[n]) {
		return false
	}
	var values []string
	switch flag.Names()[0] {
	case "output":
		values = []string{"table", "json", "yaml"}
	case "lab":
		values = slices.Concat(labNames(lab.Options{}), standalones(lab.Options{Dir: cmp.Or(os.Getenv("LBCTL_RUN"), "/run/lbctl")}))
	}
	for _, v := range values {
		fmt.Fprintln(s.out, v)
	}
	return true
}
