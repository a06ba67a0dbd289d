package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
)

func (s *shell) logs() *cli.Command {
	return &cli.Command{
		Name:      "logs",
		Usage:     "print the log of the daemon, of the L7 proxy, or of a node's server",
		ArgsUsage: "[daemon|l7|NODE]",
		Description: `Of a standalone balancer there are the proxy's error log (l7), and the access logs in its
folder; what its daemon says goes to where 'l7 run' or 'l4 run' was started.`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "lines", Aliases: []string{"n"}, Value: 100, Usage: "print the last so many lines; 0: all"},
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on as lines are written, until Ctrl-C or the lab's end"},
		},
		BashComplete: completeWith(func(c *cli.Context) []string {
			l, err := s.openDaemon(c)
			if err != nil {
				return nil
			}
			return logNames(l)
		}),
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return wantArgs(c, "LOG")
			}
			if c.Int("lines") < 0 {
				return usagef("logs: lines %d: want 0 or more", c.Int("lines"))
			}
			l, err := s.openDaemon(c)
			if err != nil {
				return err
			}
			name := c.Args().First()
			if name == "" {
				name = "daemon"
			}
			f, err := openLog(l, name)
			if err != nil {
				return err
			}
			defer f.Close()
			defer s.untilUnread(c)()
			return follow(c.Context, s.out, f, c.Int("lines"), c.Bool("follow"))
		},
	}
}

func openLog(l *session, name string) (*os.File, error) {
	for _, path := range []string{filepath.Join(l.folder, name+".log"), filepath.Join(l.folder, "log", name+".log")} {
		if filepath.Base(path) != name+".log" {
			continue // a name with a slash in it
		}
		if f, err := os.Open(path); err == nil {
			return f, nil
		}
	}
	has := cmp.Or(strings.Join(logNames(l), ", "), "none")
	if l.lab == nil && name == "daemon" {
		return nil, codef(exitNotFound, "%s: the log of its daemon is where '%s' was started; in its folder it has %s", l.title(), l.runVerb(), has)
	}
	return nil, codef(exitNotFound, "%s has no log %q; it has %s", l.title(), name, has)
}

func logNames(l *session) (names []string) {
	for _, pattern := range []string{filepath.Join(l.folder, "*.log"), filepath.Join(l.folder, "log", "*.log")} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			names = append(names, strings.TrimSuffix(filepath.Base(f), ".log"))
		}
	}
	sort.Strings(names)
	return names
}

// follow prints the last lines of f and, if asked to, what is added to it until
// ctx ends or the file is removed, as it is with its lab.
func follow(ctx context.Context, out io.Writer, f *os.File, lines int, on bool) error {
	data, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Name(), err)
	}
	if _, err := out.Write(lastLines(data, lines)); err != nil {
		return err
	}
	for on {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
		last := removed(f) // before reading, or its last words would be lost
		if _, err := io.Copy(out, f); err != nil {
			return err
		}
		on = !last
	}
	return nil
}

func removed(f *os.File) bool {
	info, err := f.Stat()
	return err != nil || info.Sys().(*syscall.Stat_t).Nlink == 0
}

// lastLines returns the end of data that holds n lines; all of it if n is 0.
func lastLines(data []byte, n int) []byte {
	if n == 0 {
		return data
	}
	for i := len(data) - 1; i >= 0; i-- {
		if data[i] == '\n' && i != len(data)-1 {
			if n--; n == 0 {
				return data[i+1:]
			}
		}
	}
	return data
}
