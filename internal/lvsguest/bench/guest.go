package main

import (
	"cmp"
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

// plan is what the host tells the guest, by flags. With keep-alive a window is a
// time between a warm-up and the end, in which the requests that its edges cut off are few among many.
// With a connection per request there are fewer, so there it is a number of
// requests, from the first connection to the last answer, and nothing is cut off.
type plan struct {
	rounds           int
	warmup, duration time.Duration
	requests         uint64
	connections      int
	links            links
	arms             *regexp.Regexp
}

func (p *plan) flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.IntVar(&p.rounds, "rounds", 3, "how often each arm is measured; every other round goes backwards")
	f.DurationVar(&p.warmup, "warmup", 100*time.Millisecond, "before each window with keep-alive, in virtual time")
	f.DurationVar(&p.duration, "duration", 500*time.Millisecond, "of each window with keep-alive, in virtual time; 0: until -requests are answered, without a warm-up")
	f.Uint64Var(&p.requests, "requests", 2000, "of each window with a connection per request")
	f.IntVar(&p.connections, "connections", 64, "of the client at a time")
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

// load is what the client does in one window.
func (p *plan) load(targets []netip.AddrPort, keepAlive bool) traffic.Load {
	l := traffic.Load{Targets: targets, Connections: p.connections, KeepAlive: keepAlive}
	if keepAlive && p.duration > 0 {
		l.Warmup, l.Duration = p.warmup, p.duration
	} else {
		l.Requests = p.requests
	}
	return l
}

// measure is the guest's side: it prints a line of JSON for each run.
func measure(ctx context.Context, args []string) (err error) {
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
	turns := make([]int, 0, len(all))
	for i, a := range all {
		if a.Name == direct || p.arms.MatchString(a.Name) {
			turns = append(turns, i)
		}
	}
	slices.SortStableFunc(turns, func(i, j int) int { return cmp.Compare(order(all[i]), order(all[j])) })
	ours := planes{links: p.links}
	defer func() { err = errors.Join(err, ours.close()) }()
	for round := 1; round <= p.rounds; round++ {
		for _, i := range turns {
			if err := ours.open(ctx, all[i].Hook); err != nil {
				return err
			}
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
		slices.Reverse(turns)
	}
	return nil
}

// measure sets the arm up, puts both loads on it, and takes it down again.
func (a arm) measure(ctx context.Context, p plan, number int, client *netns.Handle, self string) (runs []Run, err error) {
	undo, err := a.setUp(p.links, vip(number))
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
		var idle [2]time.Duration
		result, err := traffic.RunProcess(ctx, func(cmd *exec.Cmd) error { cmd.Env = append(os.Environ(), noCollections...); return client.Start(cmd) }, self, p.load(targets, keepAlive), func(e traffic.Event) {
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

// idleTime is how long the guest has been idle, exactly: /proc/uptime says it to
// the tick of 10 ms, which is 1 % of a window and more.
func idleTime() time.Duration {
	text, err := os.ReadFile("/proc/timer_list")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), ".idle_sleeptime :")
	f := strings.Fields(after)
	if len(f) == 0 {
		return 0
	}
	ns, _ := strconv.ParseInt(f[0], 10, 64)
	return time.Duration(ns)
}
