package cli

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
)

// An order is a signal to the master of a proxy, and what comes of it.
type order struct {
	signal syscall.Signal
	// done reports whether it has been obeyed, by the plane before and now; nil: that
	// cannot be seen.
	done func(before, now ctl.PlaneWorkers) bool
	text func(before, now ctl.PlaneWorkers) string
}

func (s *shell) l7Reload() *cli.Command {
	return s.l7Order("reload", "start new worker processes and let the old ones finish (HUP)",
		`Waits until the new generation serves. What the old workers have begun, they end, tunnels
included; what takes longer than drain_timeout of l7 (an hour, unless it says otherwise) is
cut off. Where process slots are short, because others have not finished since reloads
before, those that were started first end sooner, and the log says so. What the proxy
forwards does not change; that is 'lbctl up' or the file of 'l7 run'.`,
		order{
			signal: syscall.SIGHUP,
			done:   reloaded,
			text: func(before, now ctl.PlaneWorkers) string {
				return fmt.Sprintf("generation %d serves, generation %d finishes", now.Generation, before.Generation)
			},
		})
}

// reloaded reports whether a new generation serves: then all others drain.
func reloaded(before, now ctl.PlaneWorkers) bool {
	for _, p := range now.Processes {
		if p.Generation != now.Generation && p.State != "draining" {
			return false
		}
	}
	return now.Generation > before.Generation
}

func (s *shell) l7Upgrade() *cli.Command {
	return s.l7Order("upgrade", "start the proxy's binary anew beside the one that runs (USR2)",
		`For a new version of lbctl at the same path. The new master gets the listening sockets and
what is in force; once its workers serve, the old ones finish, for drain_timeout of l7 at
most, and end. If it does not come up, all goes on as before; if it dies within three
seconds after it has, the old master starts workers again and goes on. Counters begin anew.

To go back to the version before, put its file back at the path (with mv or install, since
a file that runs cannot be written to) and upgrade once more: that is an upgrade like any
other, and no request fails. A version that has no drain_timeout does not take over from
one whose l7 names it; take the key out first.`,
		order{
			signal: syscall.SIGUSR2,
			done:   func(before, now ctl.PlaneWorkers) bool { return now.Master != 0 && now.Master != before.Master },
			text: func(before, now ctl.PlaneWorkers) string {
				return fmt.Sprintf("master %d serves, master %d finishes", now.Master, before.Master)
			},
		})
}

func (s *shell) l7Reopen() *cli.Command {
	return s.l7Order("reopen", "have the proxy open its log files anew (USR1), as logrotate wants",
		`It is not waited for: that a file was opened cannot be seen from here.`,
		order{
			signal: syscall.SIGUSR1,
			text: func(before, _ ctl.PlaneWorkers) string {
				return fmt.Sprintf("master %d was told to open its log files anew", before.Master)
			},
		})
}

func (s *shell) l7Stop() *cli.Command {
	return s.l7Order("stop", "let the proxy answer what is in flight and end (QUIT)",
		`New clients are refused from then on. As long as the daemon lives, it starts another proxy
once this one has ended, ten seconds later or a little more. To end a proxy of 'l7 run' for good,
end its daemon and run 'lbctl l7 flush'; that of a lab ends with 'lbctl down'.`,
		order{
			signal: syscall.SIGQUIT,
			done:   func(before, now ctl.PlaneWorkers) bool { return now.Master != 0 && now.Master != before.Master },
			text: func(before, now ctl.PlaneWorkers) string {
				return fmt.Sprintf("master %d has ended, and the daemon has started %d", before.Master, now.Master)
			},
		})
}

func (s *shell) l7Order(name, usage, description string, o order) *cli.Command {
	flags := []cli.Flag{s.nodeFlag()}
	if o.done != nil {
		flags = append(flags, &cli.DurationFlag{Name: "timeout", Value: 30 * time.Second, Usage: "how long to wait until it is so"})
	}
	return &cli.Command{
		Name: name, Usage: usage, Description: description, Flags: flags,
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			l, planes, err := s.l7Planes(c, c.String("node"))
			if err != nil {
				return err
			}
			for _, p := range planes {
				if err := s.obey(c, l, p, o); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// obey signals a proxy's master and waits for what comes of it.
func (s *shell) obey(c *cli.Context, l *session, before ctl.PlaneWorkers, o order) error {
	where := l.title()
	if before.Node != "" {
		where += " on " + before.Node
	}
	if before.Master == 0 {
		return fmt.Errorf("%s: %s has no proxy process at the moment: the daemon is about to start one", verbOf(c), where)
	}
	if err := syscall.Kill(before.Master, o.signal); err != nil {
		return fmt.Errorf("%s: signal master %d of %s: %w", verbOf(c), before.Master, where, err)
	}
	now := before
	if o.done != nil {
		ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
		defer cancel()
		var err error
		if now, err = l.await(ctx, before, o); err != nil {
			if c.Context.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
				return codef(exitDeadline, "%s: %s has not done so within %s; its log may tell why: 'lbctl logs'", verbOf(c), where, c.Duration("timeout"))
			}
			return err
		}
	}
	fmt.Fprintf(s.out, "%s: %s\n", where, o.text(before, now))
	return nil
}

// await asks for a plane until an order has been obeyed.
func (l *session) await(ctx context.Context, before ctl.PlaneWorkers, o order) (ctl.PlaneWorkers, error) {
	for {
		all, err := l.client.Workers(ctx)
		if err != nil {
			return before, err
		}
		now, ok := find(all, func(p ctl.PlaneWorkers) bool { return p.Node == before.Node })
		if ok && o.done(before, now) {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return before, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
