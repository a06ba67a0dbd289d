package l7

import (
	"slices"
	"strconv"

	"lbctl/internal/lb"
	"lbctl/internal/loop"
)

// Model says how the plane spends processes and threads.
type Model = lb.Model

// The models, by the names that this package knows them by.
const (
	Prefork = lb.ModelPrefork
	Threads = lb.ModelWorker
	Event   = lb.ModelEvent
	Loop    = lb.ModelLoop
)

// Models are all of them.
var Models = lb.Models

// Shape is a model and its numbers.
type Shape = lb.Shape

// proxyArgs is the command line of a proxy process of a shape, with what is not zero.
func proxyArgs(socket string, s Shape) []string {
	args := []string{"l7-proxy", "--socket", socket}
	if s.Model != "" {
		args = append(args, "--model", string(s.Model))
	}
	for _, f := range []struct {
		name string
		n    int
	}{
		{"--threads", s.Threads}, {"--start", s.Start}, {"--min-spare", s.MinSpare}, {"--max-spare", s.MaxSpare}, {"--processes", s.Processes},
	} {
		if f.n != 0 {
			args = append(args, f.name, strconv.Itoa(f.n))
		}
	}
	if s.Events != "" {
		args = append(args, "--events", s.Events)
	}
	if s.LogLevel != "" {
		args = append(args, "--log-level", s.LogLevel)
	}
	if s.DrainTimeout != 0 {
		args = append(args, "--drain-timeout", s.DrainTimeout.String())
	}
	return args
}

// kindOf is that of a shape's event loops.
func kindOf(s Shape) loop.Kind { return loop.Kind(max(slices.Index(lb.EventKinds, s.Events), 0)) }
