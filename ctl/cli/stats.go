package cli

import (
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/internal/lb"
	"lbctl/l4"
)

func (s *shell) stats() *cli.Command {
	return &cli.Command{
		Name:  "stats",
		Usage: "print what the planes count: per service, backend and verdict, totals and rates",
		Description: `Rates are of the interval between two looks. Of l4 also: how full its flow tables are,
what became of its packets, and how long its program takes for one; of l7 also: requests that
wait since all backends are at their max_conn (QUEUED), answers by
class of their status, and within what time half and 99 % of those in the interval were whole. For the run time the
kernel must account for the time that BPF programs take, by two looks at the clock each time:
--run-time makes it do so for the interval. 'lbctl top' goes on.`,
		Flags: []cli.Flag{
			outputFlag(),
			&cli.DurationFlag{Name: "interval", Aliases: []string{"i"}, Value: time.Second, Usage: "between two looks"},
			&cli.BoolFlag{Name: "run-time", Usage: "switch the kernel's BPF statistics on meanwhile"},
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "show verdicts that no packet has met, too"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			interval := c.Duration("interval")
			if interval < minInterval {
				return usagef("stats: interval %v: want at least %v", interval, minInterval)
			}
			l, err := s.openDaemon(c)
			if err != nil {
				return err
			}
			if c.Bool("run-time") {
				on, err := l4.EnableRunTime()
				if err != nil {
					return err
				}
				defer on.Close()
			}
			planes, err := watch(c, l, interval)
			if err != nil {
				return err
			}
			return s.print(c, planes, func(t *tableWriter) {
				for _, g := range planes {
					g.table(t, c.Bool("all"))
				}
			})
		},
	}
}

// minInterval is between two looks of a second's worth.
const minInterval = 100 * time.Millisecond

// watch looks twice.
func watch(c *cli.Context, l *session, interval time.Duration) ([]growth, error) {
	if _, err := l.status(c.Context); err != nil { // which tells how to mend a dead daemon
		return nil, err
	}
	before, err := l.client.Stats(c.Context)
	if err != nil {
		return nil, err
	}
	select {
	case <-c.Context.Done():
		return nil, c.Context.Err()
	case <-time.After(interval):
	}
	now, err := l.client.Stats(c.Context)
	return growthOf(before, now), err
}

func (g growth) table(t *tableWriter, all bool) {
	t.rows = append(t.rows, []cell{{"plane " + string(g.Plane), bold}})
	if g.Error != "" {
		t.line("%s", g.Error)
		return
	}
	for _, table := range g.FlowTables {
		t.line("flow table %s, %d expired since the daemon began", flowTableText(table), table.Expired)
	}
	if g.Run != nil {
		t.line("run time: %s", g.Run.text())
	}
	if g.Plane == lb.L7 {
		g.requests(t)
	} else {
		g.packets(t)
	}
	g.verdicts(t, all)
	t.line("")
}

// packets are two tables, one below the other: side by side they are too wide.
func (g growth) packets(t *tableWriter) {
	t.head("TOTAL", "", "CONNS", "PKTS IN", "IN", "PKTS OUT", "OUT", "ACTIVE", "INACTIVE", "STICKY")
	g.each(func(service, backend string, n lb.Counters, _ rates) {
		t.row(service, backend, n.Connections, n.PacketsIn, bytesText(n.BytesIn), n.PacketsOut, bytesText(n.BytesOut), n.Active, n.Inactive, n.Sticky)
	})
	t.line("")
	t.head("PER SECOND", "", "CONNS", "PKTS IN", "IN", "PKTS OUT", "OUT")
	g.each(func(service, backend string, _ lb.Counters, r rates) {
		t.row(service, backend, rateText(r.Connections), rateText(r.PacketsIn), bytesText(uint64(r.BytesIn)), rateText(r.PacketsOut), bytesText(uint64(r.BytesOut)))
	})
}

func (g growth) requests(t *tableWriter) {
	t.head("TOTAL", "", "REQUESTS", "CONNS", "IN", "OUT", "ERRORS", "RETRIES", "ACTIVE", "QUEUED")
	g.each(func(service, backend string, n lb.Counters, _ rates) {
		queued := any(n.Queued)
		if backend != "" {
			queued = "" // for a backend of the service, whichever becomes free
		}
		t.row(service, backend, n.Requests, n.Connections, bytesText(n.BytesIn), bytesText(n.BytesOut), n.Errors, n.Retries, n.Active, queued)
	})
	t.line("")
	t.head("PER SECOND", "", "REQUESTS", "CONNS", "IN", "OUT", "ERRORS", "RETRIES")
	g.each(func(service, backend string, _ lb.Counters, r rates) {
		t.row(service, backend, rateText(r.Requests), rateText(r.Connections), bytesText(uint64(r.BytesIn)), bytesText(uint64(r.BytesOut)), rateText(r.Errors), rateText(r.Retries))
	})
	g.answers(t)
}

// each visits services, each before its backends.
func (g growth) each(visit func(service, backend string, n lb.Counters, r rates)) {
	for _, svc := range g.Services {
		visit(svc.Name, "", svc.Counters, svc.Rates)
		for _, b := range svc.Backends {
			visit("", b.Name, b.Counters, b.Rates)
		}
	}
}

func (g growth) verdicts(t *tableWriter, all bool) {
	if len(g.Verdicts) == 0 {
		return
	}
	t.line("")
	t.head("VERDICT", "PACKETS", "PER SECOND", "MEANING")
	for _, v := range g.Verdicts {
		if v.Packets > 0 || all {
			t.row(v.Name, v.Packets, rateText(v.Rate), cell{v.Text, dim})
		}
	}
}
