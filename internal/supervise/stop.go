package supervise

import "context"

// Drain tells all children to finish, and starts no others until the next
// Reload. It does not wait for them.
func (s *Supervisor) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	s.drainAll(func(*child) bool { return true })
}

// Quit is Drain, and waits until the last child has ended: by itself or, after
// Config's DrainTimeout, by force. When ctx ends, it ends what is left at once.
func (s *Supervisor) Quit(ctx context.Context) {
	s.Drain()
	if s.await(ctx, s.isEmpty) != nil {
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
	_ = s.await(context.Background(), s.isEmpty) // KILL cannot be refused
}

// Kill ends a child at once. If it was one of those that are kept, another starts.
func (s *Supervisor) Kill(p Place) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.at(p)
	if c == nil {
		return ErrNoChild
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
