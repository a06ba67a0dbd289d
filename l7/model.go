package l7

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Model says how the plane spends processes and threads.
type Model string

// The models. Apache calls its own MPMs; loop is how nginx works.
const (
	Prefork Model = "prefork" // many processes, each of one thread with one connection
	Threads Model = "worker"  // processes with a fixed number of threads, each with one connection
	Event   Model = "event"   // as worker; a further thread holds the connections that wait for a request
	Loop    Model = "loop"    // a process with one event loop for each CPU
)

// Models are all of them.
var Models = []Model{Prefork, Threads, Event, Loop}

// Shape is a model and its numbers. Zero ones are the model's own, see WithDefaults.
type Shape struct {
	Model     Model `json:"model"`
	Threads   int   `json:"threads,omitempty"`   // of a process, worker and event only
	Start     int   `json:"start,omitempty"`     // processes in the beginning
	MinSpare  int   `json:"min_spare,omitempty"` // idle threads that are kept at least; not of loop
	MaxSpare  int   `json:"max_spare,omitempty"` // at most
	Processes int   `json:"processes,omitempty"` // the most there are; of loop: as many as there are
}

// shapes are Apache's own numbers (httpd 2.4, server/mpm), and nginx's
// worker_processes auto.
var shapes = map[Model]Shape{
	Prefork: {Threads: 1, Start: 5, MinSpare: 5, MaxSpare: 10, Processes: 256},
	Threads: {Threads: 25, Start: 3, MinSpare: 75, MaxSpare: 250, Processes: 16},
	Event:   {Threads: 25, Start: 3, MinSpare: 75, MaxSpare: 250, Processes: 16},
	Loop:    {Threads: 1},
}

// WithDefaults fills in what is zero.
func (s Shape) WithDefaults() Shape {
	if s.Model == "" {
		s.Model = Loop
	}
	d := shapes[s.Model]
	if s.Model == Loop {
		d.Processes = runtime.NumCPU()
		d.Start = d.Processes
		if s.Processes > 0 {
			d.Start = s.Processes
		}
	}
	for _, n := range []struct{ of, otherwise *int }{
		{&s.Threads, &d.Threads}, {&s.Start, &d.Start}, {&s.MinSpare, &d.MinSpare}, {&s.MaxSpare, &d.MaxSpare}, {&s.Processes, &d.Processes},
	} {
		if *n.of == 0 {
			*n.of = *n.otherwise
		}
	}
	s.Start = min(s.Start, s.Processes)
	return s
}

// flags are those of `lbctl l7-proxy` that say so, for what is not zero.
func (s Shape) flags() (flags []string) {
	if s.Model != "" {
		flags = append(flags, "--model", string(s.Model))
	}
	for _, f := range []struct {
		name string
		n    int
	}{
		{"--threads", s.Threads}, {"--start", s.Start}, {"--min-spare", s.MinSpare}, {"--max-spare", s.MaxSpare}, {"--processes", s.Processes},
	} {
		if f.n != 0 {
			flags = append(flags, f.name, strconv.Itoa(f.n))
		}
	}
	return flags
}

// Check reports what of a shape, in which every number is filled in, cannot be.
func (s Shape) Check() error {
	switch {
	case !slices.Contains(Models, s.Model):
		return fmt.Errorf("model %q: want one of %s", s.Model, words(Models))
	case s.Threads < 1 || s.Threads > maxThreads:
		return fmt.Errorf("threads %d: want 1 to %d", s.Threads, maxThreads)
	case s.Threads > 1 && (s.Model == Prefork || s.Model == Loop):
		return fmt.Errorf("threads %d: a process of model %s has one", s.Threads, s.Model)
	case s.Processes < 1 || s.Processes > maxProcesses:
		return fmt.Errorf("processes %d: want 1 to %d", s.Processes, maxProcesses)
	case s.Model != Loop && s.MaxSpare < s.MinSpare+s.Threads:
		return fmt.Errorf("max_spare %d: want at least min_spare and the threads of a process, %d", s.MaxSpare, s.MinSpare+s.Threads)
	}
	return nil
}

const (
	maxThreads   = 512
	maxProcesses = 1024
)

func words(models []Model) string {
	out := make([]string, len(models))
	for i, m := range models {
		out[i] = string(m)
	}
	return strings.Join(out, ", ")
}
