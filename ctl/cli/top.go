package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/lb"
)

func (s *shell) top() *cli.Command {
	return &cli.Command{
		Name:  "top",
		Usage: "watch rates per service and backend, refreshed in place",
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "interval", Aliases: []string{"i"}, Value: time.Second, Usage: "between two refreshes"},
			&cli.IntFlag{Name: "count", Aliases: []string{"n"}, Usage: "stop after so many refreshes; 0: until Ctrl-C"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			interval := c.Duration("interval")
			if interval < 100*time.Millisecond {
				return usagef("top: interval %v: want at least 100ms", interval)
			}
			l, err := s.openDaemon(c)
			if err != nil {
				return err
			}
			return s.refresh(c, l, interval)
		},
	}
}

func (s *shell) refresh(c *cli.Context, l *session, interval time.Duration) error {
	before, err := l.status(c.Context)
	at := time.Now()
	for n := 1; err == nil; n++ {
		select {
		case <-c.Context.Done():
			return nil // Ctrl-C is how one leaves
		case <-time.After(interval):
		}
		var now ctl.Status
		if now, err = l.status(c.Context); err != nil {
			break
		}
		took := time.Since(at)
		at = time.Now()
		t := &tableWriter{color: s.color}
		topTable(t, before, now, took)
		var screen strings.Builder
		if s.screen {
			screen.WriteString("\x1b[H\x1b[J") // home, clear below: no flicker
		}
		if err := t.flush(&screen); err != nil {
			return err
		}
		if _, err := io.WriteString(s.out, screen.String()); err != nil {
			return err
		}
		if n == c.Int("count") {
			return nil
		}
		before = now
	}
	if c.Context.Err() != nil || errors.Is(err, errDown) {
		return nil
	}
	return err
}

func topTable(t *tableWriter, before, now ctl.Status, took time.Duration) {
	t.line("%s  revision %d  %s", whose(now), now.Revision, time.Now().Format(time.TimeOnly))
	for _, p := range now.Planes {
		if p.StatsError != "" {
			t.line("%s", p.StatsError)
		}
	}
	t.head("SERVICE", "BACKEND", "HEALTH", "ADMIN", "ACTIVE", "CONN/s", "REQ/s", "PKT/s IN", "IN/s", "OUT/s", "ERR/s")
	per := func(after, earlier uint64) float64 {
		if after < earlier {
			return 0 // a plane was loaded anew and counts from zero
		}
		return float64(after-earlier) / took.Seconds()
	}
	line := func(a, b lb.Counters) []any {
		return []any{
			a.Active, rateText(per(a.Connections, b.Connections)), rateText(per(a.Requests, b.Requests)),
			rateText(per(a.PacketsIn, b.PacketsIn)), bytesText(uint64(per(a.BytesIn, b.BytesIn))),
			bytesText(uint64(per(a.BytesOut, b.BytesOut))), rateText(per(a.Errors, b.Errors)),
		}
	}
	for _, svc := range now.Services {
		old, _ := before.Service(svc.Name)
		t.row(append([]any{cell{svc.Name, bold}, "", "", ""}, line(svc.Counters, old.Counters)...)...)
		for _, b := range svc.Backends {
			was, _ := old.Backend(b.Name)
			t.row(append([]any{"", b.Name, healthCell(b.Health), adminCell(b.Admin)}, line(b.Counters, was.Counters)...)...)
		}
	}
}

func rateText(perSecond float64) string {
	if perSecond >= 10000 {
		return fmt.Sprintf("%.1fk", perSecond/1000)
	}
	return fmt.Sprintf("%.0f", perSecond)
}
