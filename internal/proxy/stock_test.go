package proxy

import "testing"

func TestAPeakIsForgottenAndASteadyLoadIsNot(t *testing.T) {
	var s stock[int]
	for i := range 1000 {
		s.put(i)
	}
	for range 20 { // in each second eight are in use at a time
		s.trim()
		for range 8 {
			s.get()
		}
		for i := range 8 {
			s.put(i)
		}
	}
	if n := len(s.all); n < 8 || n > 9 {
		t.Errorf("%d are kept, want the 8 that are needed", n)
	}
}

func TestAnEmptyStockHasNothing(t *testing.T) {
	var s stock[int]
	s.trim()
	if v, ok := s.get(); ok {
		t.Errorf("got %d of nothing", v)
	}
	s.put(1)
	s.put(2)
	if v, ok := s.get(); !ok || v != 2 {
		t.Errorf("got %d, %v; want what was put last, 2", v, ok)
	}
}
