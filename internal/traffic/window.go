package traffic

import (
	"math"
	"sync/atomic"
	"time"
)

// window is the measured time of a run as it really was, on the run's clock.
// Timers fire late on a busy machine, by tens of milliseconds: what is set
// against the window's length or its CPU must be counted between these edges,
// not between the planned ones.
type window struct{ begin, end atomic.Int64 }

// reset makes it a window that has not begun.
func (w *window) reset() {
	w.begin.Store(math.MaxInt64)
	w.end.Store(math.MaxInt64)
}

func (w *window) open(at time.Duration)  { w.begin.Store(int64(at)) }
func (w *window) close(at time.Duration) { w.end.Store(int64(at)) }

func (w *window) begun(t time.Duration) bool { return int64(t) >= w.begin.Load() }
func (w *window) over(t time.Duration) bool  { return int64(t) >= w.end.Load() }
func (w *window) holds(t time.Duration) bool { return w.begun(t) && !w.over(t) }
