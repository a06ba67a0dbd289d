package scoreboard

import (
	"math/bits"
	"sync/atomic"
	"time"

	"lbctl/internal/lb"
)

// A histogram's buckets are log-linear: each octave from shortest on is cut into
// perOctave of equal width. The widest has a twelfth of its lower bound, so its
// middle is 4.2 % from what it stands for at most. What is shorter than 33 µs, or
// longer than 68 s, is counted at the ends. Times of a service lie in two or
// three octaves as a rule, which are three to five lines of the cache.
const (
	perOctave   = 12
	shortestLog = 15 // 2^15 ns are 33 µs
	octaves     = 21 // up to 2^36 ns, 69 s
	buckets     = octaves*perOctave + 2
)

// Histogram counts times, in half a page.
type Histogram struct {
	sum    atomic.Uint64 // nanoseconds
	_      uint64
	counts [buckets]atomic.Uint64
}

// bucketOf finds the bucket of a time.
func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	octave := bits.Len64(v) - 1 - shortestLog
	switch {
	case octave < 0:
		return 0
	case octave >= octaves:
		return buckets - 1
	}
	within := v - 1<<(octave+shortestLog)
	return 1 + octave*perOctave + int(within*perOctave>>(octave+shortestLog))
}

// lower is the shortest time of a bucket, for which buckets counts as the one
// after the last.
func lower(bucket int) time.Duration {
	switch bucket {
	case 0:
		return 0
	case buckets:
		return lb.Longest
	}
	octave, part := (bucket-1)/perOctave, uint64(bucket-1)%perOctave
	base := uint64(1) << (octave + shortestLog)
	return time.Duration(base + (part*base+perOctave-1)/perOctave) // rounded up: bucketOf rounds down
}

func (h *Histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(d)].Add(1)
	h.sum.Add(uint64(d))
}

// addTo adds up counts, by bucket.
func (h *Histogram) addTo(t *times) {
	t.sum += time.Duration(h.sum.Load())
	for i := range h.counts {
		t.counts[i] += h.counts[i].Load()
	}
}

// times are counts of several histograms.
type times struct {
	sum    time.Duration
	counts [buckets]uint64
}

// latency leaves out the buckets that are empty.
func (t *times) latency() lb.Latency {
	l := lb.Latency{Sum: t.sum}
	for i, n := range t.counts {
		if n > 0 {
			l.Count += n
			l.Buckets = append(l.Buckets, lb.LatencyBucket{From: lower(i), Below: lower(i + 1), Count: n})
		}
	}
	return l
}
