package supervise

import "time"

const (
	shortLife    = time.Second      // a child that lived less counts
	goodLife     = 10 * time.Second // one that lived that long ends the row
	freeDeaths   = 5                // in a row before starting is slowed down
	longestBrake = 30 * time.Second
)

// brake slows a crash loop down: the fifth short life in a row is followed by a
// wait of 1 s, the next by 2, 4 … 30 s. Children that die while the wait runs
// were started before it and say nothing new.
type brake struct {
	row   int
	last  time.Time // of the short lives
	until time.Time
}

// died takes a death that nobody asked for.
func (b *brake) died(lived time.Duration, now time.Time) {
	quiet := b.row > 0 && now.Sub(later(b.last, b.until)) >= goodLife // what was started since then lived well
	if lived >= goodLife || quiet {
		*b = brake{}
	}
	if lived >= shortLife || now.Before(b.until) {
		return
	}
	b.row++
	b.last = now
	if b.row >= freeDeaths {
		b.until = now.Add(min(time.Second<<min(b.row-freeDeaths, 5), longestBrake))
	}
}

// wait is how long no child may be started yet.
func (b *brake) wait(now time.Time) time.Duration { return max(b.until.Sub(now), 0) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
