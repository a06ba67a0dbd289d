package supervise

import (
	"context"
	"time"
)

// Drain tells all children to finish within a time, also those that had more, and
// starts no others until the next Reload. It does not wait for them.
func (s *Supervisor) Drain(within time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	for _, c := range s.children {
		if c != nil {
			s.drain(c, within)
		}
	}
}

// Wait returns nil when there is no child.
func (s *Supervisor) Wait(ctx context.Context) error { return s.await(ctx, s.isEmpty) }

// Quit is Drain, and waits until the last child has ended: by itself or, when its
// time is over, by force. When ctx ends, it ends what is left at once.
func (s *Supervisor) Quit(ctx context.Context, within time.Duration) {
	s.Drain(within)
	if s.Wait(ctx) != nil {
		s.Terminate()
	}
}

// Terminate ends all children, those that do not end within Config's Grace by
// force, and waits for them.
func (s *Supervisor) Terminate() {
	s.mu.Lock()
	s.stop()
	for _, c := range s.children {
		if c != nil {
			s.terminate(c)
		}
	}
	s.mu.Unlock()
	_ = s.Wait(context.Background()) // KILL cannot be refused
}

// Kill ends a child at once, and another starts in its place. One that was told to finish
// goes on doing so: it has its time for that.
func (s *Supervisor) Kill(p Place) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.at(p)
	if c == nil {
		return ErrNoChild
	}
	if c.state == Draining {
		return nil
	}
	return c.cmd.Process.Kill()
}

func (s *Supervisor) stop() {
	s.wanted, s.stopped = 0, true
	s.stops++
	s.announce()
}

func (s *Supervisor) isEmpty() (bool, error) {
	for _, c := range s.children {
		if c != nil {
			return false, nil
		}
	}
	return true, nil
}
