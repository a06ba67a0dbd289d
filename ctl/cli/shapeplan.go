package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"lbctl/ctl"
	"lbctl/internal/lb"
)

// shapeChanges are the balancers of a lab that is up whose l7 plane is to go on in
// another shape.
func (b *builder) shapeChanges() (changes []ctl.Change) {
	was, err := ctl.LoadDaemonConfig(filepath.Join(b.options.Dir, b.scenario.Name, "daemon.json"))
	if err != nil {
		return nil // a new lab, or one that was left half up
	}
	old := was.Shapes()
	for _, n := range b.scenario.Topology.Balancers() {
		if s, ok := old[n.Name]; ok && s.WithDefaults() != n.L7.WithDefaults() {
			changes = append(changes, ctl.Change{
				Op: ctl.Modify, Kind: "l7", Name: n.Name,
				Detail: fmt.Sprintf("%s -> %s; new processes take over, and what is in flight is answered", shapeText(s), shapeText(n.L7)),
			})
		}
	}
	return changes
}

// shapeText is "event, threads 8": the model, and what differs from its own numbers.
func shapeText(s lb.Shape) string {
	own, parts := lb.Shape{Model: s.Model}.WithDefaults(), []string{string(s.WithDefaults().Model)}
	for _, n := range []struct {
		name    string
		is, own int
	}{
		{"threads", s.Threads, own.Threads},
		{"start", s.Start, own.Start},
		{"min_spare", s.MinSpare, own.MinSpare},
		{"max_spare", s.MaxSpare, own.MaxSpare},
		{"processes", s.Processes, own.Processes},
	} {
		if n.is != 0 && n.is != n.own {
			parts = append(parts, fmt.Sprintf("%s %d", n.name, n.is))
		}
	}
	if s.Events != "" && s.Events != own.Events {
		parts = append(parts, "events "+s.Events)
	}
	if s.LogLevel != "" && s.LogLevel != own.LogLevel {
		parts = append(parts, "log_level "+s.LogLevel)
	}
	if s.DrainTimeout != 0 && s.DrainTimeout != own.DrainTimeout {
		parts = append(parts, "drain_timeout "+s.DrainTimeout.String())
	}
	return strings.Join(parts, ", ")
}
