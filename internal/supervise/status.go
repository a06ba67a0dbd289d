package supervise

import (
	"context"
	"fmt"
	"os"
	"time"
)

// keptDeaths is how many are remembered.
const keptDeaths = 64

// Death says how a child ended.
type Death struct {
	Place
	PID    int // 0: it could not be started
	Lived  time.Duration
	Reason string // "exit status 1", "signal: killed"
	Asked  bool   // it was told to
	At     time.Time
}

// bury puts a death down.
func (s *Supervisor) bury(d Death) {
	d.At = time.Now()
	args := []any{"slot", d.Slot, "generation", d.Generation, "pid", d.PID, "lived", d.Lived.Round(time.Millisecond), "reason", d.Reason}
	if d.Asked {
		s.config.Log.Info("child ended", args...)
	} else {
		s.config.Log.Warn("child died", args...)
		s.brake.died(d.Lived, d.At)
		s.unasked++
	}
	if len(s.deaths) == keptDeaths {
		s.deaths = append(s.deaths[:0], s.deaths[1:]...)
	}
	s.deaths = append(s.deaths, d)
	s.announce()
}

// Child is a living child, for status.
type Child struct {
	Place
	PID   int
	State ChildState
	Born  time.Time
}

// Status is what a supervisor does.
type Status struct {
	Generation uint64
	Wanted     int
	Children   []Child       // by slot
	Started    uint64        // children, the dead included
	Died       uint64        // children that nobody told to end
	Deaths     []Death       // the last ones, asked for or not, oldest first
	CPU        time.Duration // that the dead have taken
}

// Status returns it.
func (s *Supervisor) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{
		Generation: s.generation, Wanted: s.wanted, Started: s.serial, Died: s.unasked, Deaths: append([]Death(nil), s.deaths...), CPU: s.cpu,
	}
	for _, c := range s.children {
		if c != nil {
			st.Children = append(st.Children, Child{c.Place, c.cmd.Process.Pid, c.state, c.born})
		}
	}
	return st
}

// Call sends a request to a child: see Link.Call.
func (s *Supervisor) Call(ctx context.Context, p Place, kind string, body, into any, files ...*os.File) error {
	s.mu.Lock()
	c := s.at(p)
	s.mu.Unlock()
	if c == nil {
		return fmt.Errorf("call %s of child %d: %w", kind, p.Slot, ErrNoChild)
	}
	return c.link.Call(ctx, kind, body, into, files...)
}
