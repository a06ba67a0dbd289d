package scenario

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a positive time span, Pause one that may be zero, Stay one of a second or more.
type (
	Duration = Span[positive]
	Pause    = Span[orZero]
	Stay     = Span[aSecond]
)

// Span is a time span from L's lowest to a day.
type Span[L lowest] time.Duration

type lowest interface{ lowest() time.Duration }

type (
	positive struct{}
	orZero   struct{}
	aSecond  struct{}
)

func (positive) lowest() time.Duration { return time.Millisecond }
func (orZero) lowest() time.Duration   { return 0 }
func (aSecond) lowest() time.Duration  { return time.Second }

const (
	longest         = 24 * time.Hour
	durationPattern = `^([0-9]+(\.[0-9]+)?(us|ms|s|m|h))+$`
	sizePattern     = `^[0-9]+(\.[0-9]+)? ?(B|kB|KB|MB|GB|KiB|MiB|GiB)?$`
	ratePattern     = `^[0-9]+(\.[0-9]+)?[kM]?/(s|m)$`
	statusPattern   = `^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$`
)

var (
	durationForm = regexp.MustCompile(durationPattern)
	sizeForm     = regexp.MustCompile(sizePattern)
	rateForm     = regexp.MustCompile(ratePattern)
	statusForm   = regexp.MustCompile(statusPattern)
	numberForm   = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?`)
)

func (s *Span[L]) parse(text string) error {
	var l L
	if !durationForm.MatchString(text) {
		return errIllFormed
	}
	v, err := time.ParseDuration(text)
	if err != nil || v > longest || v < l.lowest() {
		return fmt.Errorf("want from %s to %s, not %s", span(l.lowest()), span(longest), text)
	}
	*s = Span[L](v)
	return nil
}
func (s *Span[L]) want() string { return `a duration such as "500ms", "2s" or "1m30s"` }
func (s *Span[L]) schema() map[string]any {
	return map[string]any{"type": "string", "pattern": durationPattern}
}

func (s *Span[L]) suggest(text string) string {
	words := strings.NewReplacer(" ", "", "seconds", "s", "second", "s", "secs", "s", "sec", "s", "minutes", "m", "minute", "m", "mins", "m", "min", "m",
		"millis", "ms", "msec", "ms", "µs", "us", "S", "s", "MS", "ms")
	for _, meant := range []string{text + "s", words.Replace(text)} {
		if new(Span[L]).parse(meant) == nil && meant != text {
			return meant
		}
	}
	return ""
}

// span prints a time span as one would type it: 24h for time's 24h0m0s.
func span(d time.Duration) string {
	text := d.String()
	for _, nothing := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, nothing) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// Size is a number of bytes.
type Size int64

// maxSize bounds a response body: each server holds one in memory.
const maxSize = 64 << 20

var sizeUnits = map[string]float64{"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

func (s *Size) parse(text string) error {
	v, err := bytesOf(text, maxSize, "64MiB")
	*s = Size(v)
	return err
}

// bytesOf reads a number of bytes, at most so many, which are named.
func bytesOf(text string, most float64, named string) (int64, error) {
	if !sizeForm.MatchString(text) {
		return 0, errIllFormed
	}
	number := numberForm.FindString(text)
	v, err := strconv.ParseFloat(number, 64)
	v *= sizeUnits[strings.TrimSpace(text[len(number):])]
	if err != nil || v > most {
		return 0, fmt.Errorf("want at most %s, not %s", named, text)
	}
	if v != math.Trunc(v) {
		return 0, fmt.Errorf("%s is no whole number of bytes", text)
	}
	return int64(v), nil
}

// Volume is a number of bytes that nobody holds in memory.
type Volume int64

const maxVolume = 1 << 50

func (s *Volume) parse(text string) error {
	v, err := bytesOf(text, maxVolume, "1048576GiB")
	*s = Volume(v)
	return err
}
func (s *Volume) want() string { return `a size such as 128, "64KiB" or "1GB"` }
func (s *Volume) schema() map[string]any {
	return map[string]any{"type": []string{"integer", "string"}, "minimum": 0, "maximum": int64(maxVolume), "pattern": sizePattern}
}
func (s *Volume) suggest(text string) string { return new(Size).suggest(text) }
func (s *Size) want() string                 { return `a size such as 128, "64KiB" or "1MB"` }
func (s *Size) schema() map[string]any {
	return map[string]any{"type": []string{"integer", "string"}, "minimum": 0, "maximum": maxSize, "pattern": sizePattern}
}

func (s *Size) suggest(text string) string {
	number := numberForm.FindString(text)
	unit := map[string]string{"k": "KiB", "kb": "kB", "kib": "KiB", "m": "MiB", "mb": "MB", "mib": "MiB", "bytes": "", "b": "B", "byte": ""}
	if u, ok := unit[strings.ToLower(strings.TrimSpace(text[len(number):]))]; ok && number != "" {
		return number + u
	}
	return ""
}

// Rate is requests per second.
type Rate float64

const maxRate = 10e6

func (r *Rate) parse(text string) error {
	if !rateForm.MatchString(text) {
		return errIllFormed
	}
	number := numberForm.FindString(text)
	v, err := strconv.ParseFloat(number, 64)
	factor, per, _ := strings.Cut(text[len(number):], "/")
	v *= map[string]float64{"": 1, "k": 1e3, "M": 1e6}[factor] / map[string]float64{"s": 1, "m": 60}[per]
	if err != nil || v <= 0 || v > maxRate {
		return fmt.Errorf("want more than 0/s and at most 10M/s, not %s", text)
	}
	*r = Rate(v)
	return nil
}

// ParseRate reads a rate as a scenario writes it, "5k/s", and returns it per second.
func ParseRate(text string) (float64, error) {
	var r Rate
	err := r.parse(text)
	if errors.Is(err, errIllFormed) {
		err = fmt.Errorf("parse rate %q: want %s", text, r.want())
	}
	return float64(r), err
}

func (r *Rate) want() string { return `a rate such as "300/s", "5k/s" or "600/m"` }
func (r *Rate) schema() map[string]any {
	return map[string]any{"type": "string", "pattern": ratePattern}
}

func (r *Rate) suggest(text string) string {
	meant := strings.NewReplacer(" ", "", "K", "k", "rps", "/s", "req/s", "/s", "/sec", "/s", "per second", "/s", "/min", "/m").Replace(text)
	if !strings.Contains(meant, "/") {
		meant += "/s"
	}
	if new(Rate).parse(meant) == nil {
		return meant
	}
	return ""
}

// Status is an inclusive range of HTTP status codes.
type Status struct{ Min, Max int }

func (s *Status) parse(text string) error {
	if !statusForm.MatchString(text) {
		return errIllFormed
	}
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	lowest, err1 := strconv.Atoi(low)
	highest, err2 := strconv.Atoi(high)
	if err1 != nil || err2 != nil {
		return errIllFormed
	}
	if lowest > highest {
		return fmt.Errorf("the range %s is empty", text)
	}
	*s = Status{lowest, highest}
	return nil
}
func (s *Status) want() string { return `a status or a range such as 200 or "200-399"` }
func (s *Status) schema() map[string]any {
	return map[string]any{"type": []string{"integer", "string"}, "minimum": 100, "maximum": 599, "pattern": statusPattern}
}

func (s *Status) suggest(text string) string {
	lower := strings.ToLower(text)
	if len(lower) == 3 && strings.HasSuffix(lower, "xx") && lower[0] >= '1' && lower[0] <= '5' {
		return lower[:1] + "00-" + lower[:1] + "99"
	}
	return ""
}
