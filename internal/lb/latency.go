package lb

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Longest is the upper bound of times without one.
const Longest = time.Duration(math.MaxInt64)

// Latency is how long requests took, as counts of times.
type Latency struct {
	Count   uint64          `json:"count"`
	Sum     time.Duration   `json:"sum"`
	Buckets []LatencyBucket `json:"buckets,omitempty"` // ascending, without those that are empty
}

// LatencyBucket is how many took from From to less than Below. Where both are a
// plane's own, they are at most a twelfth apart.
type LatencyBucket struct {
	From  time.Duration `json:"from"`
	Below time.Duration `json:"below"`
	Count uint64        `json:"count"`
}

// Quantile is the time within which the share q of all has ended, 5 % more or
// less; 0 if there were none.
func (l Latency) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(l.Count)))
	for _, b := range l.Buckets {
		if rank > b.Count {
			rank -= b.Count
			continue
		}
		if b.Below == Longest {
			return b.From
		}
		return (b.From + b.Below) / 2
	}
	return 0
}

// Add returns the counts of both.
func (l Latency) Add(other Latency) Latency {
	out := Latency{Count: l.Count + other.Count, Sum: l.Sum + other.Sum}
	for _, b := range slices.Concat(l.Buckets, other.Buckets) {
		i, there := slices.BinarySearchFunc(out.Buckets, b, func(a, b LatencyBucket) int { return cmp.Compare(a.From, b.From) })
		if !there {
			out.Buckets = slices.Insert(out.Buckets, i, b)
		} else {
			out.Buckets[i].Count += b.Count
		}
	}
	return out
}

// Since returns what was counted after an earlier look, nothing less: if the plane
// began anew in between, all of it.
func (l Latency) Since(earlier Latency) Latency {
	if earlier.Count > l.Count {
		return l
	}
	out := Latency{Sum: l.Sum - earlier.Sum}
	i := 0
	for _, b := range l.Buckets {
		for i < len(earlier.Buckets) && earlier.Buckets[i].From < b.From {
			i++
		}
		if i < len(earlier.Buckets) && earlier.Buckets[i].From == b.From {
			b.Count -= min(b.Count, earlier.Buckets[i].Count)
		}
		if b.Count > 0 {
			out.Count += b.Count
			out.Buckets = append(out.Buckets, b)
		}
	}
	return out
}
