package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"lbctl/internal/lab"
	"lbctl/internal/lb"
	"lbctl/l4"
)

func (s *shell) doctor() *cli.Command {
	return &cli.Command{
		Name:        "doctor",
		Usage:       "find out whether labs can run on this machine",
		Description: `Each finding comes with its remedy. Exits 5 if one of them keeps a lab from running.`,
		Flags:       []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			options, err := s.labOptions(c)
			if err != nil {
				return err
			}
			findings := diagnose(options, true)
			err = s.print(c, findings, func(t *tableWriter) {
				for _, f := range findings {
					mark := cell{"ok", green}
					if !f.OK {
						mark = cell{string(f.Severity), yellow}
						if f.Severity == lab.SeverityError {
							mark.style = red
						}
					}
					t.row(mark, f.Check, f.Detail)
					if !f.OK {
						t.line("     remedy: %s", f.Remedy)
					}
				}
			})
			if err == nil && blocked(findings) != nil {
				return withCode(exitUnable, errSilent)
			}
			return err
		},
	}
}

// diagnose adds to the lab's own findings the one only a plane can make; thorough
// takes seconds, and loads what the plane will load.
func diagnose(options lab.Options, thorough bool) []lab.Finding {
	findings := lab.Doctor(options)
	hooks, err := l4.Probe(thorough)
	return append(findings, aboutHooks(hooks, err)...)
}

// aboutHooks says which hooks work, one finding each. One that works is enough for a lab.
func aboutHooks(hooks map[lb.Hook]error, err error) []lab.Finding {
	programs := lab.Finding{Check: "l4 programs", OK: true, Detail: "load"}
	if err != nil {
		programs.OK, programs.Severity, programs.Detail = false, lab.SeverityError, err.Error()
		programs.Remedy = "run as root on a kernel with CONFIG_BPF_SYSCALL and CONFIG_VETH; in a container add SYS_ADMIN and NET_ADMIN"
		return []lab.Finding{programs}
	}
	findings := []lab.Finding{programs}
	severity := lab.SeverityError
	for _, hook := range lb.Hooks {
		if hooks[hook] == nil {
			severity = lab.SeverityWarning
		}
	}
	remedies := map[lb.Hook]string{
		lb.HookNative:  "native XDP on veth needs Linux 5.9 or later; hook: auto does without it",
		lb.HookGeneric: "generic XDP needs Linux 5.9 or later; hook: auto does without it",
		lb.HookTCX:     "tcx needs Linux 6.6 or later; hook: auto takes XDP instead, and labs do without checksum and segmentation offload",
	}
	for _, hook := range lb.Hooks {
		f := lab.Finding{Check: "hook " + string(hook), OK: true, Detail: "attaches to a veth and is let go"}
		if err := hooks[hook]; err != nil {
			f.OK, f.Severity, f.Detail, f.Remedy = false, severity, err.Error(), remedies[hook]
		}
		findings = append(findings, f)
	}
	return findings
}

// blocked returns an error that names what keeps a lab from running, nil if nothing does.
func blocked(findings []lab.Finding) error {
	for _, f := range findings {
		if !f.OK && f.Severity == lab.SeverityError {
			return withCode(exitUnable, fmt.Errorf("this machine cannot run a lab: %s: %s; remedy: %s", f.Check, f.Detail, f.Remedy))
		}
	}
	return nil
}
