package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// A session is one lab that is up, and the client of its daemon.
type session struct {
	lab    *lab.Lab
	name   string
	client *ctl.Client
}

// openLab finds the lab that a verb acts on: the one named by --lab, or the
// only one there is.
func (s *shell) openLab(c *cli.Context) (*session, error) {
	options, err := s.labOptions(c)
	if err != nil {
		return nil, err
	}
	name := c.String("lab")
	if name == "" {
		if name, err = onlyLab(options); err != nil {
			return nil, err
		}
	}
	l, err := lab.Open(options, name)
	if errors.Is(err, lab.ErrNoLab) {
		return nil, withCode(exitNotFound, err)
	}
	if err != nil {
		return nil, err
	}
	return &session{lab: l, name: name, client: ctl.Dial(l.Path("daemon.sock"))}, nil
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
	if _, statErr := os.Stat(l.lab.Path()); errors.Is(statErr, os.ErrNotExist) {
		return st, codef(exitNotFound, "lab %s: %w", l.name, errDown)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return st, fmt.Errorf("%w; forwarding goes on, 'lbctl logs' may tell why", err)
	}
	return st, fmt.Errorf("%w; forwarding goes on without the daemon, 'lbctl up FILE' starts it again", err)
}
