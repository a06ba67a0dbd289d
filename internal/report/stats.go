package report

import (
	"math"
	"math/rand/v2"
	"slices"
)

const (
	resamples = 10_000
	seed      = 20_240_229 // fixed, so that a report of the same runs says the same
	minPairs  = 6          // of fewer no winner is named
	minEffect = 0.02       // nor of a smaller difference: two services are never the same to the last percent
)

// interval returns the mean of xs and its 95 % interval: by bootstrap, or from
// Student's t if there are fewer than minPairs. A percentile of resamples lies
// between the lowest and the highest of xs, and those alone miss the truth in half of all cases with
// two pairs and in a quarter with three.
func interval(xs []float64) Interval {
	n := len(xs)
	if n >= minPairs || n < 2 {
		return bootstrap(xs)
	}
	m := mean(xs)
	reach := tQuantile(t975, n-1) * standardError(xs, m)
	return Interval{Mean: m, Low: m - reach, High: m + reach, N: n}
}

// standardError is that of the mean m of xs.
func standardError(xs []float64, m float64) float64 {
	n, ss := float64(len(xs)), 0.0
	for _, x := range xs {
		ss += (x - m) * (x - m)
	}
	return math.Sqrt(ss / (n - 1) / n)
}

// bootstrap returns the mean of xs and its 95 % bootstrap percentile interval.
//
// With the few pairs that a comparison has, the plain percentile interval is too
// narrow: over two identical arms with realistic noise it excludes equality in
// 15 % of comparisons of six pairs, not 5 %. So the percentiles are moved
// outwards as Hesterberg does in "What Teachers Should Know about the Bootstrap"
// (2015), section 3.3, until a normal sample would get its t interval. That
// leaves 7 % with six pairs and 5 % with eight.
func bootstrap(xs []float64) Interval {
	n := len(xs)
	iv := Interval{Mean: mean(xs), N: n}
	iv.Low, iv.High = iv.Mean, iv.Mean
	if n < 2 {
		return iv
	}
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	means := make([]float64, resamples)
	for i := range means {
		sum := 0.0
		for range n {
			sum += xs[r.IntN(n)]
		}
		means[i] = sum / float64(n)
	}
	slices.Sort(means)
	tail := normalCDF(-math.Sqrt(float64(n)/float64(n-1)) * tQuantile(t975, n-1))
	i := int(tail * resamples)
	iv.Low, iv.High = means[i], means[resamples-1-i]
	return iv
}

// ratioOf is interval for ratios, given their logarithms: mean and interval are
// geometric, so that A over B is the inverse of B over A.
func ratioOf(logs []float64) Interval {
	if len(logs) == 0 {
		return Interval{}
	}
	iv := interval(logs)
	return Interval{Mean: math.Exp(iv.Mean), Low: math.Exp(iv.Low), High: math.Exp(iv.High), N: iv.N}
}

// convincing reports whether log ratios differ from equality beyond doubt: enough
// pairs, an interval that excludes 1, a difference that matters, and a paired t test at 99 % that
// agrees. The last is there because a report makes several comparisons and the
// bootstrap is optimistic with few pairs; together they name a winner among equals
// in 1 % of comparisons. The test of this package simulates it.
func convincing(logs []float64) bool {
	n := len(logs)
	if n < minPairs {
		return false
	}
	m := mean(logs)
	t := math.Abs(m) / standardError(logs, m)
	if slight(m) || !(t > tQuantile(t995, n-1)) {
		return false
	}
	iv := bootstrap(logs)
	return iv.Low > 0 || iv.High < 0
}

// slight reports whether a mean log ratio is a difference too small to matter.
func slight(m float64) bool { return math.Abs(m) < math.Log(1+minEffect) }

// Quantiles of Student's t by degrees of freedom, from 1.
var (
	t975 = []float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086}
	t995 = []float64{63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012, 2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845}
)

// tQuantile stays on the safe side beyond the table.
func tQuantile(table []float64, df int) float64 { return table[min(df, len(table))-1] }

func normalCDF(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

func mean(xs []float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}

func spread(xs []float64) Spread {
	if len(xs) == 0 {
		return Spread{}
	}
	return Spread{Median: median(xs), Min: slices.Min(xs), Max: slices.Max(xs)}
}

func median(xs []float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(xs))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
