package cli

import (
	"runtime"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
)

func (s *shell) version() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print which lbctl this is",
		Flags: []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				OS      string `json:"os"`
				Arch    string `json:"arch"`
			}{ctl.BuildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
			return s.print(c, v, func(t *tableWriter) {
				t.line("lbctl %s (%s, %s/%s)", v.Version, v.Go, v.OS, v.Arch)
			})
		},
	}
}
