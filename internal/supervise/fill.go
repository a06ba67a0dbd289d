package supervise

import (
	"cmp"
	"slices"
	"time"
)

// fill starts the children that are missing, as far as slots and the brake allow.
// What it cannot start now it starts when a slot or the brake gets free.
func (s *Supervisor) fill() {
	for s.missing() > 0 {
		slot := s.freeSlot()
		if slot < 0 {
			return
		}
		if wait := s.brake.wait(time.Now()); wait > 0 {
			s.refillAfter(wait)
			return
		}
		s.serial++
		s.start(Place{slot, s.generation, s.serial})
	}
}

// makeRoom ends as many children that were told to finish as others lack a slot,
// those first that were started first. fill starts the others then.
func (s *Supervisor) makeRoom() {
	short := s.missing()
	var finishing []*child
	for _, c := range s.children {
		switch {
		case c == nil || c.ended:
			short-- // there is its slot, or there soon will be
		case c.state == Draining:
			finishing = append(finishing, c)
		}
	}
	slices.SortFunc(finishing, func(a, b *child) int { return cmp.Compare(a.Serial, b.Serial) })
	for _, c := range finishing[:min(max(short, 0), len(finishing))] {
		s.config.Log.Warn("child is ended before it has finished: a new one needs its slot", "slot", c.Slot, "generation", c.Generation,
			"pid", c.cmd.Process.Pid, "would have had", time.Until(c.due).Round(time.Second))
		s.terminate(c)
	}
}

func (s *Supervisor) refillAfter(wait time.Duration) {
	if s.retry != nil {
		return
	}
	s.config.Log.Warn("children die as they start", "next start in", wait.Round(time.Millisecond))
	s.retry = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.retry = nil
		s.fill()
	})
}

func (s *Supervisor) missing() int {
	n := s.wanted
	for _, c := range s.children {
		if s.current(c) {
			n--
		}
	}
	return n
}

// current reports whether a child is one of those that are kept.
func (s *Supervisor) current(c *child) bool {
	return c != nil && c.Generation == s.generation && c.state != Draining
}

func (s *Supervisor) freeSlot() int {
	for slot, c := range s.children {
		if c == nil {
			return slot
		}
	}
	return -1
}
