package scenario

import (
	"errors"
	"time"

	"lbctl/internal/lb"
)

// L7Spec is how the l7 plane spends processes and threads, as typed.
type L7Spec struct {
	Pos       Pos
	Model     Val[ModelWord]    `yaml:"model" default:"loop" short:"true" doc:"prefork (many processes, each with one connection), worker (processes of many threads, each with one connection), event (as worker, and idle connections hold no thread) or loop (an event loop for each CPU, any number of connections each)."`
	Threads   Val[Threads]      `yaml:"threads" default:"(25)" doc:"worker and event only: threads of a process."`
	Start     Val[Processes]    `yaml:"start" default:"(5 of prefork, 3 of worker and event)" doc:"Not for loop: processes in the beginning."`
	MinSpare  Val[SpareThreads] `yaml:"min_spare" default:"(5 of prefork, 75 of worker and event)" doc:"Not for loop: idle threads below which processes are started, 1, 2, 4 … 32 a second."`
	MaxSpare  Val[SpareThreads] `yaml:"max_spare" default:"(10 of prefork, 250 of worker and event)" doc:"Not for loop: idle threads above which processes end, one a second; at least min_spare and the threads of a process."`
	Processes Val[Processes]    `yaml:"processes" default:"(256 of prefork, 16 of worker and event, one for each CPU of loop)" doc:"The most processes there are; of loop: as many as there are."`
	Events    Val[EventsWord]   `yaml:"events" default:"(auto)" doc:"loop only: how loops hear of events: epoll, io_uring, or auto (io_uring where it works)."`
	LogLevel  Val[LogLevelWord] `yaml:"log_level" default:"(info)" doc:"What the proxy's error log has: debug (also what clients do wrong), info, warn or error. As with the other keys, another one takes new processes, and what is in flight is answered."`

	DrainTimeout Val[Duration] `yaml:"drain_timeout" default:"(1h)" doc:"How long processes that others have replaced (lbctl l7 reload, lbctl l7 upgrade, a change of l7), and a VIP that was removed, may take to finish what is in flight; then it is cut off."`
}

// The words and numbers of l7.
type (
	ModelWord    = Enum[modelWords]
	EventsWord   = Enum[eventsWords]
	LogLevelWord = Enum[logLevelWords]
	Threads      = Int[threadBounds]
	Processes    = Int[processBounds]
	SpareThreads = Int[spareBounds]
)

type (
	modelWords    struct{}
	eventsWords   struct{}
	logLevelWords struct{}
	threadBounds  struct{}
	processBounds struct{}
	spareBounds   struct{}
)

func (modelWords) words() (words []string) {
	for _, m := range lb.Models {
		words = append(words, string(m))
	}
	return words
}

func (eventsWords) words() []string { return lb.EventKinds }

func (logLevelWords) words() []string { return lb.LogLevels }

func (threadBounds) bounds() (string, int64, int64) {
	return "a number of threads", 1, lb.MaxThreads
}

func (processBounds) bounds() (string, int64, int64) {
	return "a number of processes", 1, lb.MaxProcesses
}

func (spareBounds) bounds() (string, int64, int64) {
	return "a number of threads", 1, lb.MaxThreads * lb.MaxProcesses
}

// shape resolves what was typed. What was not stays zero, except the model: some
// defaults depend on the machine.
func (s L7Spec) shape(r *resolver) lb.Shape {
	typed := filled(s)
	shape := lb.Shape{
		Model: lb.Model(typed.Model.Value), Threads: int(typed.Threads.Value), Start: int(typed.Start.Value),
		MinSpare: int(typed.MinSpare.Value), MaxSpare: int(typed.MaxSpare.Value), Processes: int(typed.Processes.Value),
		Events: string(typed.Events.Value), LogLevel: string(typed.LogLevel.Value), DrainTimeout: time.Duration(typed.DrainTimeout.Value),
	}
	err := shape.CheckTyped()
	if err == nil {
		return shape
	}
	at := s.Pos
	var refused *lb.ShapeError
	if errors.As(err, &refused) {
		places := map[string]Pos{
			"threads": s.Threads.Pos, "start": s.Start.Pos, "min_spare": s.MinSpare.Pos, "max_spare": s.MaxSpare.Pos, "processes": s.Processes.Pos, "events": s.Events.Pos, "log_level": s.LogLevel.Pos,
		}
		if key := places[refused.Key]; key.IsSet() {
			at = key
		}
	}
	r.fail(at, "", "l7: %v", err)
	return shape
}
