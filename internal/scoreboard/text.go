package scoreboard

import (
	"fmt"
	"strings"
)

// lettersPerRow is Apache's width.
const lettersPerRow = 64

// Text is the scoreboard as Apache's server-status shows it: the totals, then a
// letter per worker.
func Text(workers []Worker) string {
	var out strings.Builder
	busy, idle := Count(workers)
	fmt.Fprintf(&out, "%d requests currently being processed, %d idle workers\n\n", busy, idle)
	for i, w := range workers {
		out.WriteByte(byte(w.State))
		if i%lettersPerRow == lettersPerRow-1 || i == len(workers)-1 {
			out.WriteByte('\n')
		}
	}
	return out.String()
}

// Count counts the workers that are busy and those that wait for work. The others
// are neither: they start, end, or do not exist.
func Count(workers []Worker) (busy, idle int) {
	for _, w := range workers {
		switch {
		case w.State.Busy():
			busy++
		case w.State == Waiting:
			idle++
		}
	}
	return busy, idle
}
