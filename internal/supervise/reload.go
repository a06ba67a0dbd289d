package supervise

import (
	"context"
	"fmt"
)

// Reload starts so many children of a new generation beside those that run, and
// once all of them have said that they are ready tells the others to finish. The
// first reload starts the first children. If one of the new ones dies before
// that, or ctx ends, the new ones are told to finish instead, the old generation
// goes on, and the error says why. Until then nobody replaces an old child that
// dies. Generations begin at 1 and grow; none is used twice. The others have
// Config's DrainTimeout to finish, but see Config's Slots.
func (s *Supervisor) Reload(ctx context.Context, generation uint64, children int) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.mu.Lock()
	if err := s.mayStart(generation, children); err != nil {
		s.mu.Unlock()
		return fmt.Errorf("start generation %d: %w", generation, err)
	}
	s.newest = generation
	oldGeneration, oldWanted, oldStopped, stops := s.generation, s.wanted, s.stopped, s.stops
	s.generation, s.wanted, s.stopped = generation, children, false
	s.brake = brake{} // what made the others die may be mended
	s.makeRoom()
	s.fill()
	first := min(children, s.config.Slots-s.staying(generation)) // the others have no slot yet
	s.mu.Unlock()

	err := s.await(ctx, func() (bool, error) {
		if s.stops != stops {
			return false, ErrOverruled
		}
		return s.isUp(generation, first)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.drainAll(func(c *child) bool { return c.Generation != generation })
		return nil
	}
	if s.stops == stops {
		s.generation, s.wanted, s.stopped = oldGeneration, oldWanted, oldStopped
		for _, c := range s.children {
			switch {
			case c == nil || c.Generation != generation:
			case c.state == Starting: // it has nothing to finish, and may hang
				s.terminate(c)
			default:
				s.drain(c, s.config.DrainTimeout)
			}
		}
		s.fill()
	}
	return fmt.Errorf("start generation %d: %w", generation, err)
}

func (s *Supervisor) mayStart(generation uint64, children int) error {
	switch {
	case generation <= s.newest:
		return ErrOldGeneration
	case children > 0 && s.staying(generation) >= s.config.Slots:
		return ErrNoSlot
	}
	return nil
}

// staying is how many children of other generations serve, or are about to.
func (s *Supervisor) staying(generation uint64) (n int) {
	for _, c := range s.children {
		if c != nil && c.state != Draining && c.Generation != generation {
			n++
		}
	}
	return n
}

// isUp reports whether so many children of a new generation serve, or those that
// are wanted now, or why they never will.
func (s *Supervisor) isUp(generation uint64, children int) (bool, error) {
	for _, d := range s.deaths {
		if d.Generation == generation && !d.Asked {
			return false, fmt.Errorf("child %d died: %s", d.Slot, d.Reason)
		}
	}
	serving := 0
	for _, c := range s.children {
		if s.current(c) && c.state == Serving {
			serving++
		}
	}
	return serving >= min(children, s.wanted), nil
}

func (s *Supervisor) drainAll(which func(*child) bool) {
	for _, c := range s.children {
		if c != nil && which(c) {
			s.drain(c, s.config.DrainTimeout)
		}
	}
}
