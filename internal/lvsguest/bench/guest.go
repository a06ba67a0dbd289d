package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"lbctl/internal/netns"
	"lbctl/internal/traffic"
)

// plan is what the host tells the guest, by flags.
type plan struct {
	rounds           int
	warmup, duration time.Duration
	connections      int
	requests         uint64
	links            links
	arms             *regexp.Regexp
}

func (p *plan) flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.IntVar(&p.rounds, "rounds", 3, "how often each arm is measured; every other round goes backwards")
	f.DurationVar(&p.warmup, "warmup", 200*time.Millisecond, "before each window, in virtual time")
	f.DurationVar(&p.duration, "duration", time.Second, "of each window, in virtual time")
	f.IntVar(&p.connections, "connections", 64, "of the client at a time")
	f.Uint64Var(&p.requests, "requests", 0, "end a window after so many instead, whatever the time, without a warm-up")
	f.StringVar((*string)(&p.links), "links", string(wired), "how client, balancer and servers are joined: wires or bridge")
	p.arms = regexp.MustCompile("")
	f.Func("arms", "measure those that this regexp matches, and direct", func(text string) (err error) {
		p.arms, err = regexp.Compile(text)
		return err
	})
	return f
}

func (p *plan) args() []string {
	return []string{
		"-rounds", strconv.Itoa(p.rounds), "-warmup", p.warmup.String(), "-duration", p.duration.String(),
		"-connections", strconv.Itoa(p.connections), "-requests", strconv.FormatUint(p.requests, 10), "-links", string(p.links), "-arms", p.arms.String(),
	}
}

// measure is the guest's side: it prints a line of JSON for each run.
func measure(ctx context.Context, args []string) error {
	var p plan
	if err := p.flags("guest").Parse(args); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	all := arms()
	if err := p.links.build(len(all)); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := startServers(ctx, self); err != nil {
		return err
	}
	client, err := netns.Open("/run/netns/client")
	if err != nil {
		return err
	}
	defer client.Close()
	out := json.NewEncoder(os.Stdout)
	order := make([]int, 0, len(all))
	for i, a := range all {
		if a.Name == direct || p.arms.MatchString(a.Name) {
			order = append(order, i)
		}
	}
	for round := 1; round <= p.rounds; round++ {
		for _, i := range order {
			runs, err := all[i].measure(ctx, p, i, client, self)
			if err != nil {
				return fmt.Errorf("arm %s: %w", all[i].Name, err)
			}
			for _, r := range runs {
				r.Round = round
				if err := out.Encode(r); err != nil {
					return err
				}
			}
		}
		slices.Reverse(order)
	}
	return nil
}

// measure sets the arm up, puts both loads on it, and takes it down again.
func (a arm) measure(ctx context.Context, p plan, number int, client *netns.Handle, self string) (runs []Run, err error) {
	undo, err := a.setUp(ctx, p.links, vip(number))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, undo()) }()
	targets := []netip.AddrPort{target(vip(number))}
	if a.Forward == "" {
		targets = nil
		for i := range servers {
			targets = append(targets, target(a.backend(i)))
		}
	}
	for _, keepAlive := range []bool{true, false} {
		load := traffic.Load{
			Targets: targets, Connections: p.connections, KeepAlive: keepAlive, Warmup: p.warmup, Duration: p.duration,
		}
		if p.requests > 0 {
			load.Warmup, load.Duration, load.Requests = 0, 0, p.requests
		}
		var idle [2]time.Duration
		result, err := traffic.RunProcess(ctx, func(cmd *exec.Cmd) error { cmd.Env = append(os.Environ(), rareCollections); return client.Start(cmd) }, self, load, func(e traffic.Event) {
			switch e {
			case traffic.Measuring:
				idle[0] = idleTime()
			case traffic.Measured:
				idle[1] = idleTime()
			}
		})
		if err != nil {
			return nil, err
		}
		r := Run{
			Arm: a.Name, KeepAlive: keepAlive, Requests: result.Answered, Errors: result.Errors, Elapsed: result.Elapsed,
			Idle: idle[1] - idle[0], Servers: result.Servers,
		}
		if r.Offloads, err = readOffloads(); err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// idleTime is how long the guest has been idle, to the tick of 10 ms.
func idleTime() time.Duration {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(text))
	seconds, err := strconv.ParseFloat(f[len(f)-1], 64)
	if err != nil {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}
