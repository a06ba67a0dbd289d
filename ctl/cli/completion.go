package cli

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"
)

// Each script asks lbctl itself what may come next, so completion never goes stale.
const bashCompletion = `_lbctl() {
  local words=("${COMP_WORDS[@]:0:COMP_CWORD}") cur="${COMP_WORDS[COMP_CWORD]}" opts
  if [[ "$cur" == -* ]]; then words+=("$cur"); fi
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
  [[ "$cur" == -* ]] && asked+=("$cur")
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
