package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
)

func (s *shell) events() *cli.Command {
	return &cli.Command{
		Name:  "events",
		Usage: "print what happened: revisions, transitions of health, failures of a plane",
		Description: `A transition of health is one event, however many services and planes it touches.
With -o json each event is one line.`,
		Flags: []cli.Flag{
			outputFlag(),
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on as they happen, until Ctrl-C or the daemon's end"},
			&cli.Uint64Flag{Name: "since", Usage: "only events after this sequence number"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			l, err := s.openDaemon(c)
			if err != nil {
				return err
			}
			if c.Bool("follow") {
				defer s.untilUnread(c)()
				err = l.client.Events(c.Context, c.Uint64("since"), func(e ctl.Event) error { return s.printEvent(c, e) })
				if errors.Is(err, context.Canceled) {
					return nil
				}
				return err
			}
			past, err := l.client.PastEvents(c.Context, c.Uint64("since"))
			if err != nil {
				return err
			}
			for _, e := range past {
				if err := s.printEvent(c, e); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (s *shell) printEvent(c *cli.Context, e ctl.Event) error {
	if c.String("output") == "json" {
		return json.NewEncoder(s.out).Encode(e)
	}
	if c.String("output") == "yaml" {
		return s.print(c, []ctl.Event{e}, nil)
	}
	style := map[ctl.EventKind]string{
		ctl.EventApplyFailed: red, ctl.EventPersistFailed: red, ctl.EventApplyRecovered: green,
		ctl.EventTransition: yellow, ctl.EventEjected: yellow, ctl.EventGap: yellow,
	}[e.Kind]
	kind := fmt.Sprintf("%-16s", e.Kind)
	if s.color && style != "" {
		kind = style + kind + reset
	}
	_, err := fmt.Fprintf(s.out, "%6d  %s  %s  %s\n", e.Seq, e.At.Local().Format(time.TimeOnly+".000"), kind, e.Message)
	return err
}
