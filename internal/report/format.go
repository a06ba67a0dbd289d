package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// count prints a number with its thousands apart.
func count(x float64) string {
	s := fmt.Sprintf("%.0f", math.Abs(x))
	var b strings.Builder
	if x < 0 && s != "0" {
		b.WriteByte('-')
	}
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// figure prints a number to about three digits.
func figure(x float64) string {
	switch {
	case math.Abs(x) >= 1000:
		return count(x)
	case math.Abs(x) >= 100:
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.1f", x)
}

// latency prints a time to three digits in the unit that suits it.
func latency(d time.Duration) string {
	switch {
	case d == 0:
		return "—"
	case d < time.Millisecond:
		return fmt.Sprintf("%dµs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2fms", d.Seconds()*1e3)
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1fms", d.Seconds()*1e3)
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2fs", d.Seconds())
}

// ends prints lowest and highest: "69.7k … 72.5k".
func ends(s Spread) string {
	if s.Max < 20_000 {
		return count(s.Min) + " … " + count(s.Max)
	}
	return fmt.Sprintf("%.1fk … %.1fk", s.Min/1000, s.Max/1000)
}

// plural prints a number of things: "1 round", "2 rounds".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// percent prints a fraction, never as none or all of it unless it is.
func percent(f float64) string {
	switch p := 100 * f; {
	case f > 0 && p < 0.01:
		return "below 0.01 %"
	case f < 1 && p >= 99.5:
		return "over 99 %"
	case p >= 10:
		return fmt.Sprintf("%.0f %%", p)
	default:
		return fmt.Sprintf("%.2g %%", p)
	}
}

// perSecond prints an arrival rate, which may be below one.
func perSecond(rate float64) string {
	if rate < 1000 {
		return strconv.FormatFloat(rate, 'g', 4, 64)
	}
	return count(rate)
}

// bracket prints a mean and its interval if there is one: "2.31 [2.10 … 2.55]".
func bracket(iv Interval, format func(float64) string) string {
	if iv.N == 0 {
		return "—"
	}
	if iv.N == 1 {
		return format(iv.Mean)
	}
	return fmt.Sprintf("%s [%s … %s]", format(iv.Mean), format(iv.Low), format(iv.High))
}

// signed prints a difference to about three digits.
func signed(x float64) string {
	if x < 0 {
		return "-" + figure(-x)
	}
	return "+" + figure(x)
}

// ratio prints to about three digits.
func ratio(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x >= 0.1:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.3f", x)
}
