package proxy

import "slices"

// stock holds things that can be used again. Of them low were not needed since the
// last trim.
type stock[T any] struct {
	all []T
	low int
}

// get returns what was put last, if there is anything.
func (s *stock[T]) get() (v T, ok bool) {
	n := len(s.all) - 1
	if n < 0 {
		return v, false
	}
	v = s.all[n]
	s.all = s.all[:n]
	s.low = min(s.low, n)
	return v, true
}

func (s *stock[T]) put(v T) { s.all = append(s.all, v) }

// trim lets the collector have half of what was not needed since the last time, so
// that a peak is forgotten in a few turns and a steady load allocates nothing.
func (s *stock[T]) trim() {
	s.all = slices.Delete(s.all, 0, (s.low+1)/2)
	s.low = len(s.all)
}
