package traffic

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lbctl/internal/lb"
)

// Probes are what Compare needs of the lab it measures.
type Probes struct {
	// Fork runs the generator in a process of its own where the client lives,
	// and passes on its events. RunProcess does most of it.
	Fork func(ctx context.Context, load Load, event func(Event)) (Result, error)
	// Groups returns the processes of each component: "servers", "l7", "daemon".
	// The generator measures itself. May be nil.
	Groups func() map[string][]int
	// Stats returns what each plane has counted. May be nil.
	Stats func(ctx context.Context) (map[lb.Plane]lb.Stats, error)
}

// Progress says how far a Compare is.
type Progress struct {
	Done  int           // runs made
	Total int           // runs in all
	What  string        // the run that starts now: "round 2: web-l7, keepalive"; empty when all are done
	Left  time.Duration // estimated until the last run is over
	Last  *Run          // the run just made; nil at first
}

// Compare runs every arm under every workload. A round is a palindrome, such as
// direct A B | B A direct, so that a steady drift of the machine's speed falls
// on each arm alike; every second round swaps A and B. A half of a round holds
// each arm once, side by side: that is what report pairs.
//
// A run that fails is recorded and the others go on. When ctx ends, Compare
// returns what it has, marked incomplete, together with the context's error.
// Other errors come with a nil Measurement.
func Compare(ctx context.Context, plan Plan, probes Probes, progress func(Progress)) (*Measurement, error) {
	if err := plan.check(); err != nil {
		return nil, err
	}
	if probes.Fork == nil {
		return nil, errors.New("compare: no generator to fork")
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	order := plan.order()
	m := &Measurement{Schema: Schema, Plan: plan, Conditions: plan.Conditions.withMachine(), Started: time.Now()}
	m.Conditions.Order = plan.describe()
	est := newEstimate(order)
	var last *Run
	for i, turn := range order {
		progress(Progress{Done: i, Total: len(order), What: turn.String(), Left: est.left(i), Last: last})
		run := probes.run(ctx, turn)
		if ctx.Err() != nil {
			m.Incomplete = fmt.Sprintf("stopped after %d of %d runs: %v", i, len(order), context.Cause(ctx))
			m.Finished = time.Now()
			return m, ctx.Err()
		}
		m.Runs = append(m.Runs, run)
		last = &m.Runs[i]
	}
	m.Finished = time.Now()
	progress(Progress{Done: len(order), Total: len(order), Last: last})
	return m, nil
}

// check refuses a plan that cannot be carried out or not be told apart afterwards.
func (p Plan) check() error {
	direct, arms, workloads := 0, map[string]bool{}, map[string]bool{}
	for _, a := range p.Arms {
		if a.Direct {
			direct++
		}
		if a.Name == "" || arms[a.Name] {
			return fmt.Errorf("compare: arm name %q is empty or taken twice", a.Name)
		}
		arms[a.Name] = true
	}
	for _, w := range p.Workloads {
		if w.Name == "" || workloads[w.Name] {
			return fmt.Errorf("compare: workload name %q is empty or taken twice", w.Name)
		}
		workloads[w.Name] = true
		for _, a := range p.Arms {
			if _, err := w.load(a).normal(); err != nil {
				return fmt.Errorf("compare: arm %s, workload %s: %w", a.Name, w.Name, err)
			}
		}
	}
	switch {
	case direct != 1:
		return fmt.Errorf("compare: %d direct arms: want one", direct)
	case len(p.Arms) < 2:
		return errors.New("compare: nothing beside the direct arm")
	case len(p.Workloads) == 0:
		return errors.New("compare: no workload")
	case p.Rounds < 1:
		return fmt.Errorf("compare: %d rounds: want at least 1", p.Rounds)
	}
	return nil
}

func (w Workload) load(a Arm) Load {
	return Load{
		Targets: a.Targets, Host: a.Host, Path: w.Path, Connections: w.Connections, Rate: w.Rate,
		KeepAlive: w.KeepAlive, Warmup: w.Warmup, Duration: w.Duration, Timeout: w.Timeout,
	}
}

// turn is one run to be made.
type turn struct {
	arm         Arm
	workload    Workload
	round, half int
}

func (t turn) String() string {
	return fmt.Sprintf("round %d: %s, %s", t.round, t.arm.Name, t.workload.Name)
}

// order lists the turns. Rounds are outermost, so that an interrupted
// comparison has something of every workload.
func (p Plan) order() []turn {
	var turns []turn
	for round := 1; round <= p.Rounds; round++ {
		arms := p.half(round)
		for _, w := range p.Workloads {
			for _, a := range arms {
				turns = append(turns, turn{a, w, round, 1})
			}
			for i := range arms {
				turns = append(turns, turn{arms[len(arms)-1-i], w, round, 2})
			}
		}
	}
	return turns
}

// half returns the arms in the order of a round's first half.
func (p Plan) half(round int) []Arm {
	var direct, others []Arm
	for _, a := range p.Arms {
		switch {
		case a.Direct:
			direct = append(direct, a)
		case round%2 == 1:
			others = append(others, a)
		default:
			others = append([]Arm{a}, others...)
		}
	}
	return append(direct, others...)
}

func (p Plan) describe() string {
	var names []string
	for _, a := range p.half(1) {
		names = append(names, a.Name)
	}
	back := make([]string, len(names))
	for i, n := range names {
		back[len(names)-1-i] = n
	}
	s := strings.Join(names, " ") + " | " + strings.Join(back, " ")
	if len(names) > 2 {
		s += ", every second round with the services swapped"
	}
	return s
}
