package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/lb"
)

// flowsShown is how many flows a person is shown unless asked for more.
const flowsShown = 1000

func (s *shell) l4Flows() *cli.Command {
	return &cli.Command{
		Name:  "flows",
		Usage: "list the connections that the plane remembers, and the clients that stick to a backend",
		Description: `They come in no order, as they are found in the plane's tables; what comes or goes
meanwhile may be missed. With -o json each is one line. What --limit cuts off is said
at the end, on standard error. 'lbctl l4 -L -c' lists the same as ipvsadm does.`,
		Flags: []cli.Flag{
			outputFlag(),
			&cli.StringFlag{Name: "service", Aliases: []string{"s"}, Usage: "only of this `SERVICE`"},
			&cli.StringFlag{Name: "node", Usage: "of this `BALANCER`, where there are two; else of the active one"},
			&cli.Uint64Flag{Name: "limit", Aliases: []string{"n"}, Value: flowsShown, Usage: "list `N` at most; 0: all"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			if c.String("output") == "yaml" {
				return usagef("%s: output yaml: want table or json, which need no memory of all flows", verbOf(c))
			}
			l, err := s.openDaemon(c)
			if err != nil {
				return err
			}
			limit := c.Uint64("limit")
			if c.String("output") == "table" {
				fmt.Fprintf(s.out, flowLine, "SERVICE", "PROTO", "STATE", "EXPIRES", "CLIENT", "VIP", "BACKEND")
			}
			end, err := l.client.Flows(c.Context, ctl.FlowQuery{Service: c.String("service"), Node: c.String("node"), Limit: limit}, func(f lb.Flow) error {
				return s.printFlow(c, f)
			})
			if err == nil && end.More {
				fmt.Fprintf(s.err, "lbctl: cut off after %d; there are more, --limit 0 lists all\n", end.Listed)
			}
			return err
		},
	}
}

// flowLine has fixed columns: widths are not known before the last flow.
const flowLine = "%-16s %-5s %-11s %-8s %-24s %-24s %s\n"

func (s *shell) printFlow(c *cli.Context, f lb.Flow) error {
	if c.String("output") == "json" {
		return json.NewEncoder(s.out).Encode(f)
	}
	state, client := f.State, f.Client.String()
	if f.Sticky {
		state, client = "STICKY", f.Client.Addr().String()
	}
	_, err := fmt.Fprintf(s.out, flowLine, f.Service, f.Proto, state, f.Expires.Truncate(time.Second), client, f.VIP, f.Backend)
	return err
}
