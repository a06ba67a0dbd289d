package accesslog

import (
	"context"
	"errors"
	"sync"

	"lbctl/internal/lb"
)

// Logs are the sinks of a process. Its methods are safe for concurrent use.
type Logs struct {
	mu    sync.Mutex
	sinks map[string]*Sink // by path
}

// NewLogs returns an empty set.
func NewLogs() *Logs { return &Logs{sinks: map[string]*Sink{}} }

// Log returns a log of that kind. lost counts lines that were dropped.
func (l *Logs) Log(c lb.AccessLog, lost func(lines int)) *Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sinks[c.Path]
	if s == nil {
		s = Open(c.Path, lost)
		l.sinks[c.Path] = s
	}
	s.lost.Store(&lost) // the newest account, since older ones may go
	return newLog(c, s, lost)
}

// Retain closes the sinks whose path nobody uses any more, when what they have is
// written. It does not wait for that.
func (l *Logs) Retain(used func(path string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for path, s := range l.sinks {
		if !used(path) {
			delete(l.sinks, path)
			close(s.closing)
		}
	}
}

// Reopen goes on with the files that have the paths now; see logrotate(8). What
// cannot be opened goes on as it was; what does not answer before ctx ends follows.
func (l *Logs) Reopen(ctx context.Context) error {
	sinks := l.all()
	errs := make([]error, len(sinks))
	var all sync.WaitGroup
	for i, s := range sinks {
		all.Go(func() { errs[i] = s.reopen(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Close writes what is left, as far as the files take it before ctx ends.
func (l *Logs) Close(ctx context.Context) {
	var all sync.WaitGroup
	for _, s := range l.all() {
		all.Go(func() { s.close(ctx) })
	}
	all.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.sinks)
}

func (l *Logs) all() (sinks []*Sink) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sinks {
		sinks = append(sinks, s)
	}
	return sinks
}
