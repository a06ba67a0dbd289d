package cli

import (
	"net/netip"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/traffic"
	"lbctl/l7"
)

// The verbs below are how lbctl runs itself inside a lab. They are no
// interface: a user has no reason to call them.

func (s *shell) daemon() *cli.Command {
	return &cli.Command{
		Name: "daemon", Hidden: true, Usage: "a lab's controller",
		Flags: []cli.Flag{&cli.StringFlag{Name: "config", Required: true}},
		Action: func(c *cli.Context) error {
			config, err := ctl.LoadDaemonConfig(c.String("config"))
			if err != nil {
				return err
			}
			return ctl.RunDaemon(c.Context, config)
		},
	}
}

func (s *shell) proxy() *cli.Command {
	return &cli.Command{
		Name: "l7-proxy", Hidden: true, Usage: "the L7 plane's process",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "socket", Required: true}, &cli.StringFlag{Name: "model"}, &cli.IntFlag{Name: "threads"},
			&cli.IntFlag{Name: "start"}, &cli.IntFlag{Name: "min-spare"}, &cli.IntFlag{Name: "max-spare"}, &cli.IntFlag{Name: "processes"}, &cli.StringFlag{Name: "events"},
			&cli.StringFlag{Name: "log-level"}, &cli.DurationFlag{Name: "drain-timeout"},
		},
		Action: func(c *cli.Context) error {
			shape := l7.Shape{
				Model: l7.Model(c.String("model")), Threads: c.Int("threads"), Start: c.Int("start"),
				MinSpare: c.Int("min-spare"), MaxSpare: c.Int("max-spare"), Processes: c.Int("processes"), Events: c.String("events"),
				LogLevel: c.String("log-level"), DrainTimeout: c.Duration("drain-timeout"),
			}
			return l7.Run(c.Context, c.String("socket"), shape, l7.NewLog(s.err, shape))
		},
	}
}

func (s *shell) proxyWorker() *cli.Command {
	return &cli.Command{
		Name: "l7-worker", Hidden: true, Usage: "a worker of the L7 plane's process",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "slot", Required: true}, &cli.StringFlag{Name: "model", Required: true}, &cli.IntFlag{Name: "threads", Required: true}, &cli.IntFlag{Name: "processes", Required: true}, &cli.StringFlag{Name: "events"},
			&cli.StringFlag{Name: "log-level"}, &cli.DurationFlag{Name: "drain-timeout", Required: true},
		},
		Action: func(c *cli.Context) error {
			shape := l7.Shape{
				Model: l7.Model(c.String("model")), Threads: c.Int("threads"), Processes: c.Int("processes"), Events: c.String("events"),
				LogLevel: c.String("log-level"), DrainTimeout: c.Duration("drain-timeout"),
			}
			return l7.Work(c.Context, c.Int("slot"), shape, l7.NewLog(s.err, shape))
		},
	}
}

func (s *shell) server() *cli.Command {
	return &cli.Command{
		Name: "server", Hidden: true, Usage: "a lab's web server",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Required: true},
			&cli.StringSliceFlag{Name: "listen", Required: true},
			&cli.Int64Flag{Name: "body"},
			&cli.IntFlag{Name: "loops", Value: 1, Usage: "event loops, each of which can keep one core busy"},
		},
		Action: func(c *cli.Context) error {
			config := traffic.ServerConfig{Name: c.String("name"), Body: c.Int64("body"), Loops: c.Int("loops")}
			for _, text := range c.StringSlice("listen") {
				addr, err := netip.ParseAddrPort(text)
				if err != nil {
					return usagef("server: %w", err)
				}
				config.Listen = append(config.Listen, addr)
			}
			return traffic.Serve(c.Context, config)
		},
	}
}

func (s *shell) load() *cli.Command {
	return &cli.Command{
		Name: "load", Hidden: true, Usage: "the load generator's process: JSON in, JSON out; one event loop unless \"loops\" asks for more",
		Action: func(c *cli.Context) error {
			return traffic.RunLoad(c.Context, s.in, s.out)
		},
	}
}
