package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/lb"
)

// A member is one backend in one service.
type member struct {
	Service string   `json:"service"`
	Backend string   `json:"backend"`
	Plane   lb.Plane `json:"plane"`
}

// members finds what a word on the command line names: SERVICE/BACKEND is one,
// BACKEND alone is that backend in every service.
func members(st ctl.Status, word string) ([]member, error) {
	service, backend, qualified := strings.Cut(word, "/")
	if !qualified {
		service, backend = "", word
	}
	var found []member
	var known []string
	for _, svc := range st.Services {
		if qualified && svc.Name != service {
			continue
		}
		for _, b := range svc.Backends {
			if b.Name == backend {
				found = append(found, member{svc.Name, b.Name, svc.Plane})
			}
			known = append(known, svc.Name+"/"+b.Name)
		}
	}
	if len(found) == 0 {
		if len(known) == 0 {
			return nil, codef(exitNotFound, "%s has no service %q", whose(st), service)
		}
		return nil, codef(exitNotFound, "%s has no backend %q; it has %s", whose(st), word, strings.Join(known, ", "))
	}
	return found, nil
}

const memberHelp = `SERVICE/BACKEND names one backend, BACKEND alone the same backend in every service.`

// setAdmin is what enable, disable and drain have in common.
func (s *shell) setAdmin(c *cli.Context, admin lb.Admin) (*session, []member, error) {
	if err := wantArgs(c, "BACKEND"); err != nil {
		return nil, nil, err
	}
	return s.patch(c, ctl.BackendPatch{Admin: &admin})
}

// patch changes each member and waits, if --deadline is above 0, until the planes
// have it.
func (s *shell) patch(c *cli.Context, patch ctl.BackendPatch) (*session, []member, error) {
	deadline := c.Duration("deadline")
	if deadline < 0 {
		return nil, nil, usagef("%s: deadline %v: want 0 or more", c.Command.Name, deadline)
	}
	l, err := s.openDaemon(c)
	if err != nil {
		return nil, nil, err
	}
	st, err := l.status(c.Context)
	if err != nil {
		return nil, nil, err
	}
	found, err := members(st, c.Args().First())
	if err != nil {
		return nil, nil, err
	}
	var revision uint64
	for i, m := range found {
		if revision, err = l.client.SetBackend(c.Context, m.Service, m.Backend, patch); err != nil {
			return nil, nil, fmt.Errorf("set backend %s/%s, after %d of %d: %w", m.Service, m.Backend, i, len(found), err)
		}
	}
	if deadline > 0 {
		_, err = l.client.Wait(c.Context, ctl.WaitRequest{Revision: revision, Timeout: deadline})
	}
	return l, found, deadlineCode(err)
}

// deadlineCode gives a Problem of status 504 the exit code of deadlines.
func deadlineCode(err error) error {
	if ctl.StatusCode(err) == 504 {
		return withCode(exitDeadline, err)
	}
	return err
}

// said reports what a verb did to each member.
func (s *shell) said(c *cli.Context, found []member, done string) error {
	return s.print(c, found, func(t *tableWriter) {
		for _, m := range found {
			t.line("%s/%s: %s", m.Service, m.Backend, done)
		}
	})
}
