// Command l7bench measures what an HTTP balancer spends for a request: ours under
// each process model, nginx, HAProxy and Apache under its three, all in front of
// the same two backends, with the same generator, on this machine, in rounds that
// take turns. The peers' configurations are in conf/, as their experts would write
// them. docs/l7-performance.md says how to read what it prints.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

type options struct {
	self     string
	engines  []string
	cases    []string
	rounds   int
	seconds  time.Duration
	workers  int
	syscalls bool
	batch    bool
	json     bool
}

func main() {
	var o options
	engines := flag.String("engines", "", "comma-separated; empty: all of "+strings.Join(engineNames(), ","))
	cases := flag.String("cases", "", "comma-separated; empty: all of "+strings.Join(caseNames(), ","))
	flag.StringVar(&o.self, "lbctl", "build/lbctl", "our binary")
	flag.IntVar(&o.rounds, "rounds", 7, "how often every engine meets every case")
	flag.DurationVar(&o.seconds, "time", 3*time.Second, "of one measurement, in whole seconds, as wrk takes it")
	flag.IntVar(&o.workers, "workers", 1, "processes or threads of the event-driven ones")
	flag.BoolVar(&o.syscalls, "syscalls", true, "count system calls, too, by strace, after what the first round measures")
	flag.BoolVar(&o.batch, "batch", false, "start every balancer under SCHED_BATCH, which our thread models choose for their threads anyway")
	flag.BoolVar(&o.json, "json", false, "print every measurement as JSON")
	flag.Parse()
	if o.seconds < time.Second || o.seconds%time.Second != 0 || o.rounds < 1 {
		fmt.Fprintf(os.Stderr, "l7bench: -time %v -rounds %d: want whole seconds, and at least one of each\n", o.seconds, o.rounds)
		os.Exit(2)
	}
	o.engines, o.cases = split(*engines, engineNames()), split(*cases, caseNames())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "l7bench:", err)
		os.Exit(1)
	}
}

func split(list string, all []string) []string {
	if list == "" {
		return all
	}
	return strings.Split(list, ",")
}

func run(ctx context.Context, o options) error {
	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	if !o.json {
		fmt.Print(legend)
	}
	var all []measurement
	for _, name := range o.cases {
		c, ok := cases[name]
		if !ok {
			return fmt.Errorf("case %q: want one of %s", name, strings.Join(caseNames(), ", "))
		}
		got, err := b.measure(ctx, name, c)
		if err != nil {
			return err
		}
		all = append(all, got...)
		if !o.json {
			printTable(os.Stdout, name, c, got)
		}
	}
	if o.json {
		return json.NewEncoder(os.Stdout).Encode(all)
	}
	return nil
}
