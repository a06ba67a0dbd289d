package cli

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/ipvsadm"
)

const ipvsadmName = "ipvsadm"

// ipvsadmArgs makes room for command lines that lbctl's own rules for flags do
// not fit: called by one of ipvsadm's names, all words are ipvsadm's; behind the
// verbs that speak as it does, all but --lab, --socket and --dir right there, and
// the verbs of l4's own, which ipvsadm takes for no words of its.
func ipvsadmArgs(app *cli.App, args []string) []string {
	if calledIpvsadm(args) {
		return slices.Concat([]string{"lbctl", ipvsadmName, "--"}, args[1:])
	}
	at := verbIndex(app, args)
	if at < 0 || args[at] != ipvsadmName && args[at] != "l4" || args[len(args)-1] == "--generate-bash-completion" {
		return args
	}
	global, rest := slices.Clone(args[:at]), args[at+1:]
	for len(rest) > 0 {
		name, _, whole := strings.Cut(rest[0], "=")
		if name != "--lab" && name != "--socket" && name != "--dir" || !whole && len(rest) == 1 {
			break
		}
		words := 2
		if whole {
			words = 1
		}
		global, rest = append(global, rest[:words]...), rest[words:]
	}
	if len(rest) > 0 && app.Command(args[at]).Command(rest[0]) != nil {
		return slices.Concat(global, args[at:at+1], rest)
	}
	return slices.Concat(global, []string{args[at], "--"}, rest)
}

func (s *shell) ipvsadm() *cli.Command {
	return s.ipvsadmVerb(ipvsadmName, "list and change L4 services in the words of ipvsadm 1.31")
}

func (s *shell) ipvsadmVerb(name, usage string) *cli.Command {
	return &cli.Command{
		Name:            name,
		Usage:           usage,
		ArgsUsage:       "-L|-A|-E|-D|-a|-e|-d|-C|-S|-R …",
		SkipFlagParsing: true, // every word is ipvsadm's
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			if len(args) > 0 && args[0] == "--" { // set by ipvsadmArgs
				args = args[1:]
			}
			program, in, ok := cmp.Or(s.program, "lbctl "+name), s.in, true
			if isIpvsadmScript(program) {
				if args, in, ok = s.ipvsadmScript(program, args); !ok {
					return withCode(exitFailed, errSilent)
				}
				program = ipvsadmName
			}
			kernel, err := s.newLabKernel(c)
			if err != nil {
				return err
			}
			defer kernel.close()
			code := ipvsadm.Call{
				Program: program, Args: args, Names: kernel.names, In: in, Out: s.out, Err: s.err,
				Help:    strings.ReplaceAll(ipvsadmHelp, "@", program),
				Version: fmt.Sprintf("ipvsadm v1.31 as lbctl %s speaks it (IPVS v1.2.1)\n", ctl.BuildVersion()),
			}.Run(kernel)
			if code != 0 {
				return withCode(code, errSilent)
			}
			return nil
		},
	}
}

// readPorts returns the names of ports on this machine; without a services file there are none.
func readPorts() (ipvsadm.Ports, error) {
	f, err := os.Open("/etc/services")
	if err != nil {
		return ipvsadm.Ports{}, nil
	}
	defer f.Close()
	ports, err := ipvsadm.ReadPorts(f)
	if err != nil {
		return ports, fmt.Errorf("read names of ports: %w", err)
	}
	return ports, nil
}

const ipvsadmHelp = `Acts on L4 services, of a lab or of 'lbctl l4 run', as ipvsadm 1.31 does on IPVS.

  @ [-L|-l] [-n] [-t|-u IP:PORT|-f MARK [-6]] [--stats|--rate|--thresholds|--persistent-conn|--tun-info] [--exact] [--nosort]
      list services and their servers; no arguments do so, too
  @ -L --timeout|--daemon
      list timeouts, or what two balancers synchronise by
  @ -A|-E -t|-u IP:PORT|-f MARK [-6] [-s SCHEDULER] [-b sh-port,sh-fallback|mh-port,mh-fallback] [-p [SECONDS]] [-M NETMASK] [-o]
      add or edit a service; the scheduler is wlc unless you name another
  @ -D -t|-u IP:PORT|-f MARK
      delete a service
  @ -a|-e -t|-u IP:PORT|-f MARK -r IP[:PORT] [-g|-m|-i [--tun-type ipip|gue --tun-port PORT]] [-w WEIGHT] [-x UPPER] [-y LOWER]
      add or edit a server
  @ -d -t|-u IP:PORT|-f MARK -r IP[:PORT]
      delete a server
  @ -C
      delete all L4 services
  @ -Z [-t|-u IP:PORT|-f MARK]
      let the counters of these listings begin anew
  @ -S [-n]
      print the commands that make what there is
  @ -R
      carry out such commands from standard input

All of ipvsadm's words are understood, short and long. What the l4 plane cannot do is refused
with the reason and exit code 255, as where IPVS's kernel part refuses.

The lab is the one of --lab NAME before or right behind the verb, of LBCTL_LAB, or the only one;
a balancer of 'lbctl l4 run' is found likewise, or by --socket PATH.
A lab's scenario owns its services: what you change here lasts until the next 'lbctl up'.
Services of the l7 plane are not shown. A server that is down, drained or disabled has weight 0
in -L; -S prints the weight that it has. A new service has no health check unless the scenario
knows its address. Names of nodes serve as names of hosts: -r s2:http.

docs/ipvsadm.md says what is the same as with IPVS and what is not.
`
