package lb

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Model says how L7 spends processes and threads.
type Model string

// The models. Apache calls its own MPMs; loop is how nginx works.
const (
	ModelPrefork Model = "prefork" // many processes, each of one thread with one connection
	ModelWorker  Model = "worker"  // processes with a fixed number of threads, each with one connection
	ModelEvent   Model = "event"   // as worker; a further thread holds the connections that wait for a request
	ModelLoop    Model = "loop"    // a process with one event loop for each CPU
)

// Models are all of them.
var Models = []Model{ModelPrefork, ModelWorker, ModelEvent, ModelLoop}

// Shape is a model and its numbers, and how much its processes say. Zero ones are the
// model's own, see WithDefaults.
type Shape struct {
	Model     Model  `json:"model"`
	Threads   int    `json:"threads,omitempty"`   // of a process, worker and event only
	Start     int    `json:"start,omitempty"`     // processes in the beginning
	MinSpare  int    `json:"min_spare,omitempty"` // idle threads that are kept at least; not of loop
	MaxSpare  int    `json:"max_spare,omitempty"` // at most
	Processes int    `json:"processes,omitempty"` // the most there are; of loop: as many as there are
	Events    string `json:"events,omitempty"`    // of loop: one of EventKinds
	LogLevel  string `json:"log_level,omitempty"` // of the error log: one of LogLevels

	// DrainTimeout is how long processes that others have replaced may take to finish
	// what they have begun; and a VIP that was removed.
	DrainTimeout time.Duration `json:"drain_timeout,omitempty"`
}

// EventKinds are how an event loop hears of events: by what works best on the
// machine, by epoll, or by io_uring.
var EventKinds = []string{"auto", "epoll", "io_uring"}

// LogLevels say what an error log has: what is of that level, and of those after it.
var LogLevels = []string{"debug", "info", "warn", "error"}

// The most that a Shape may have of them.
const (
	MaxThreads   = 512
	MaxProcesses = 1024
)

// DefaultDrainTimeout is a tunnel's default, too: what is silent for so long ends anyway.
const DefaultDrainTimeout = time.Hour

const longestDrain = 24 * time.Hour

// shapes are Apache's own numbers (httpd 2.4, server/mpm), and nginx's
// worker_processes auto.
var shapes = map[Model]Shape{
	ModelPrefork: {Threads: 1, Start: 5, MinSpare: 5, MaxSpare: 10, Processes: 256},
	ModelWorker:  {Threads: 25, Start: 3, MinSpare: 75, MaxSpare: 250, Processes: 16},
	ModelEvent:   {Threads: 25, Start: 3, MinSpare: 75, MaxSpare: 250, Processes: 16},
	ModelLoop:    {Threads: 1},
}

// WithDefaults fills in what is zero.
func (s Shape) WithDefaults() Shape {
	if s.Model == "" {
		s.Model = ModelLoop
	}
	d := shapes[s.Model]
	if s.Model == ModelLoop {
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
	s.Events, s.LogLevel = cmp.Or(s.Events, EventKinds[0]), cmp.Or(s.LogLevel, "info")
	s.DrainTimeout = cmp.Or(s.DrainTimeout, DefaultDrainTimeout)
	return s
}

// ShapeError is what of a Shape cannot be.
type ShapeError struct {
	Key    string // the number's, as in JSON
	Detail string
}

// Error implements error.
func (e *ShapeError) Error() string { return e.Detail }

func refuse(key string, n int, format string, args ...any) error {
	return &ShapeError{key, fmt.Sprintf("%s %d: ", key, n) + fmt.Sprintf(format, args...)}
}

// Check reports, as a *ShapeError, what of a shape, in which every number is
// filled in, cannot be.
func (s Shape) Check() error {
	switch {
	case !slices.Contains(Models, s.Model):
		return &ShapeError{"model", fmt.Sprintf("model %q: want one of %s", s.Model, modelWords())}
	case s.Threads < 1 || s.Threads > MaxThreads:
		return refuse("threads", s.Threads, "want 1 to %d", MaxThreads)
	case s.Threads > 1 && (s.Model == ModelPrefork || s.Model == ModelLoop):
		return refuse("threads", s.Threads, "a process of model %s has one", s.Model)
	case s.Processes < 1 || s.Processes > MaxProcesses:
		return refuse("processes", s.Processes, "want 1 to %d", MaxProcesses)
	case !slices.Contains(EventKinds, s.Events):
		return &ShapeError{"events", fmt.Sprintf("events %q: want one of %s", s.Events, strings.Join(EventKinds, ", "))}
	case !slices.Contains(LogLevels, s.LogLevel):
		return &ShapeError{"log_level", fmt.Sprintf("log_level %q: want one of %s", s.LogLevel, strings.Join(LogLevels, ", "))}
	case s.DrainTimeout < 0 || s.DrainTimeout > longestDrain:
		return &ShapeError{"drain_timeout", fmt.Sprintf("drain_timeout %s: want up to %s", s.DrainTimeout, longestDrain)}
	case s.Model != ModelLoop && s.MaxSpare < s.MinSpare+s.Threads:
		return refuse("max_spare", s.MaxSpare, "want at least min_spare and the threads of a process, %d", s.MinSpare+s.Threads)
	}
	return nil
}

// CheckTyped is Check for a shape as a person typed it, with zero for what was not:
// it also refuses what the model has no use for.
func (s Shape) CheckTyped() error {
	full := s.WithDefaults()
	if full.Model == ModelLoop {
		for _, f := range []struct {
			key string
			n   int
		}{{"start", s.Start}, {"min_spare", s.MinSpare}, {"max_spare", s.MaxSpare}} {
			if f.n != 0 {
				return refuse(f.key, f.n, "of model loop there are always as many processes as processes says, and each serves any number of clients")
			}
		}
	}
	if full.Model != ModelLoop && s.Events != "" {
		return &ShapeError{"events", fmt.Sprintf("events %q: model %s has no event loop to choose", s.Events, full.Model)}
	}
	if s.Start > full.Processes {
		return refuse("start", s.Start, "there are at most %d processes", full.Processes)
	}
	return full.Check()
}

func modelWords() string {
	out := make([]string, len(Models))
	for i, m := range Models {
		out[i] = string(m)
	}
	return strings.Join(out, ", ")
}
