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
			if interval < minInterval {
				return usagef("top: interval %v: want at least %v", interval, minInterval)
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
	before, err := look(c, l)
	for n := 1; err == nil; n++ {
		select {
		case <-c.Context.Done():
			return nil // Ctrl-C is how one leaves
		case <-time.After(interval):
		}
		var now glance
		if now, err = look(c, l); err != nil {
			break
		}
		t := &tableWriter{color: s.color}
		topTable(t, before, now)
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

// glance is all that top shows, at one time.
type glance struct {
	status ctl.Status
	stats  ctl.Stats
}

func look(c *cli.Context, l *session) (g glance, err error) {
	if g.status, err = l.status(c.Context); err != nil {
		return g, err
	}
	g.stats, err = l.client.Stats(c.Context)
	return g, err
}

func topTable(t *tableWriter, before, now glance) {
	st := now.status
	t.line("%s  revision %d  %s", whose(st), st.Revision, now.stats.At.Format(time.TimeOnly))
	for _, p := range st.Planes {
		if p.StatsError != "" {
			t.line("%s", p.StatsError)
		}
	}
	planes := growthOf(before.stats, now.stats)
	t.head("SERVICE", "BACKEND", "HEALTH", "ADMIN", "ACTIVE", "QUEUED", "CONN/s", "REQ/s", "PKT/s IN", "IN/s", "PKT/s OUT", "OUT/s", "ERR/s")
	for _, g := range planes {
		for _, v := range g.Services {
			svc, _ := st.Service(v.Name)
			queued := any("")
			if g.Plane == lb.L7 {
				queued = v.Counters.Queued
			}
			t.row(append([]any{cell{v.Name, bold}, "", "", "", v.Counters.Active, queued}, topCells(v.Rates)...)...)
			for _, grown := range v.Backends {
				b, _ := svc.Backend(grown.Name)
				t.row(append([]any{"", grown.Name, healthCell(b.Health), adminCell(b.Admin), grown.Counters.Active, ""}, topCells(grown.Rates)...)...)
			}
		}
	}
	for _, g := range planes {
		topPlane(t, g)
	}
}

func topCells(r rates) []any {
	return []any{
		rateText(r.Connections), rateText(r.Requests), rateText(r.PacketsIn), bytesText(uint64(r.BytesIn)),
		rateText(r.PacketsOut), bytesText(uint64(r.BytesOut)), rateText(r.Errors),
	}
}

// topPlane is what l4 knows beyond its services: its flow tables, the time that a
// packet takes, and what becomes of packets at the moment.
func topPlane(t *tableWriter, g growth) {
	if g.Run == nil {
		return
	}
	t.line("")
	var tables []string
	for _, table := range g.FlowTables {
		tables = append(tables, flowTableText(table))
	}
	text := "flow tables: " + strings.Join(tables, ", ")
	if g.Run.Measured {
		text += fmt.Sprintf("; %.0f ns per packet", g.Run.PerPacket)
	}
	t.line("%s", text)
	t.head("PKT/s", "VERDICT", "MEANING")
	for _, v := range g.Verdicts {
		if v.Rate > 0 {
			t.row(rateText(v.Rate), v.Name, cell{v.Text, dim})
		}
	}
}

func rateText(perSecond float64) string {
	if perSecond >= 10000 {
		return fmt.Sprintf("%.1fk", perSecond/1000)
	}
	return fmt.Sprintf("%.0f", perSecond)
}
