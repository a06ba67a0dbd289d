package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/lab"
	"lbctl/internal/scenario"
)

// labOptions are what every call into package lab takes.
func (s *shell) labOptions(c *cli.Context) (lab.Options, error) {
	path, err := self()
	if err != nil {
		return lab.Options{}, err
	}
	dir, err := filepath.Abs(c.String("dir")) // a lab's processes work elsewhere
	return lab.Options{Dir: dir, Self: path, Version: ctl.BuildVersion()}, err
}

// A session is one lab that is up, or one standalone balancer, and the client
// of its daemon.
type session struct {
	lab    *lab.Lab // nil: a standalone balancer
	folder string   // of the daemon's socket and state
	name   string
	client *ctl.Client
}

// title is "lab x", "balancer x" or "balancer at /path".
func (l *session) title() string {
	if l.lab == nil {
		return "balancer " + l.name
	}
	return "lab " + l.name
}

// openLab finds the lab that a verb acts on, for verbs that need more of it than
// its daemon.
func (s *shell) openLab(c *cli.Context) (*session, error) {
	l, err := s.openDaemon(c)
	if err == nil && l.lab == nil {
		l.client.Close()
		return nil, codef(exitNotFound, "%s: %s is no lab: it has no nodes", verbOf(c), l.title())
	}
	return l, err
}

// openDaemon finds the lab or standalone balancer that a verb acts on: the one
// at --socket, the one named by --lab, or the only one there is.
func (s *shell) openDaemon(c *cli.Context) (*session, error) {
	options, err := s.labOptions(c)
	if err != nil {
		return nil, err
	}
	name := c.String("lab")
	if socket := c.String("socket"); socket != "" {
		if name != "" && c.IsSet("lab") && c.IsSet("socket") {
			return nil, usagef("either --lab or --socket")
		}
		return &session{folder: filepath.Dir(socket), name: "at " + socket, client: ctl.Dial(socket)}, nil
	}
	if name == "" {
		if name, err = onlyOne(options); err != nil {
			return nil, err
		}
	}
	l, err := lab.Open(options, name)
	if errors.Is(err, lab.ErrNoLab) {
		if slices.Contains(standalones(options), name) {
			return openStandalone(options, name)
		}
		return nil, withCode(exitNotFound, err)
	}
	if err != nil {
		return nil, err
	}
	return &session{lab: l, folder: l.Path(), name: name, client: ctl.Dial(l.Path("daemon.sock"))}, nil
}

// onlyOne is the name of the only lab or standalone balancer.
func onlyOne(options lab.Options) (string, error) {
	labs, err := lab.List(options)
	if err != nil {
		return "", err
	}
	alone := standalones(options)
	if len(labs) == 0 && len(alone) == 1 {
		return alone[0], nil
	}
	if len(labs) > 0 && len(alone) > 0 {
		return "", usagef("there are labs (%s) and standalone balancers (%s): say which with --lab NAME", strings.Join(labNames(options), ", "), strings.Join(alone, ", "))
	}
	if len(alone) > 1 {
		return "", usagef("there are several standalone balancers (%s): say which with --lab NAME", strings.Join(alone, ", "))
	}
	return onlyLab(options)
}

// standalones are the names of the standalone balancers whose folder is where it
// is by default. One that was ended has a state as long as it forwards.
func standalones(options lab.Options) (names []string) {
	for _, folder := range standaloneFolders(options, "*") {
		names = append(names, filepath.Base(folder))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// standaloneFolders are those of the balancers of that name: one of l4, one of l7.
func standaloneFolders(options lab.Options, name string) (folders []string) {
	for _, of := range []string{standaloneDir, l7StandaloneDir} {
		states, _ := filepath.Glob(filepath.Join(options.Dir, of, name, "state.json"))
		for _, path := range states {
			folders = append(folders, filepath.Dir(path))
		}
	}
	return folders
}

func openStandalone(options lab.Options, name string) (*session, error) {
	folders := standaloneFolders(options, name)
	if len(folders) > 1 {
		return nil, usagef("two standalone balancers are called %s: say which with --socket %s/daemon.sock or --socket %s/daemon.sock", name, folders[0], folders[1])
	}
	return &session{folder: folders[0], name: name, client: ctl.Dial(filepath.Join(folders[0], "daemon.sock"))}, nil
}

// runVerb is how the daemon of a standalone balancer is started.
func (l *session) runVerb() string {
	if _, err := os.Lstat(ctl.ProxySocket(l.folder)); err == nil || filepath.Base(filepath.Dir(l.folder)) == l7StandaloneDir {
		return "l7 run"
	}
	return "l4 run"
}

func onlyLab(options lab.Options) (string, error) {
	labs, err := lab.List(options)
	if err != nil {
		return "", err
	}
	var names []string
	for _, l := range labs {
		names = append(names, l.Name)
	}
	switch len(names) {
	case 0:
		return "", codef(exitNotFound, "no lab is up; 'lbctl up FILE' brings one up")
	case 1:
		return names[0], nil
	}
	return "", usagef("several labs are up (%s): say which with --lab NAME", strings.Join(names, ", "))
}

// scenario is the resolved scenario that `up` last applied.
func (l *session) scenario() (*scenario.Scenario, error) {
	if l.lab == nil {
		return nil, codef(exitNotFound, "%s is no lab", l.title())
	}
	data, err := os.ReadFile(l.lab.Path(scenarioFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, codef(exitNotFound, "lab %s is half up: run 'lbctl up FILE' again", l.name)
	}
	if err != nil {
		return nil, err
	}
	sc := new(scenario.Scenario)
	if err := json.Unmarshal(data, sc); err != nil {
		return nil, fmt.Errorf("parse %s: %w", l.lab.Path(scenarioFile), err)
	}
	return sc, nil
}

// errDown says that the lab was taken down meanwhile.
var errDown = errors.New("it was taken down")

// status asks the daemon and tells how to mend a dead one.
func (l *session) status(ctx context.Context) (ctl.Status, error) {
	st, err := l.client.Status(ctx)
	if err == nil || ctl.StatusCode(err) != 0 || ctx.Err() != nil || errors.Is(err, os.ErrPermission) {
		return st, err
	}
	if l.lab == nil {
		return st, fmt.Errorf("%w; what was forwarded goes on without the daemon, 'lbctl %s --config FILE' starts it again", err, l.runVerb())
	}
	if _, statErr := os.Stat(l.lab.Path()); errors.Is(statErr, os.ErrNotExist) {
		return st, codef(exitNotFound, "lab %s: %w", l.name, errDown)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return st, fmt.Errorf("%w; forwarding goes on, 'lbctl logs' may tell why", err)
	}
	return st, fmt.Errorf("%w; forwarding goes on without the daemon, 'lbctl up FILE' starts it again", err)
}
