package ctl

import (
	"net/http"
	"slices"
	"strings"
)

// notFound is the Problem of a name that does not exist, with the names that do:
// the near ones as suggestions, or all if they are few.
func notFound(kind, name, where string, known []string) *Problem {
	p := problem(http.StatusNotFound, "there is no %s %q%s", kind, name, where)
	p.DidYouMean = Nearest(name, known)
	switch few := 12; {
	case len(p.DidYouMean) > 0:
		p.Detail += "; did you mean " + strings.Join(p.DidYouMean, " or ") + "?"
	case len(known) == 0:
		p.Detail += "; there is none at all"
	case len(known) <= few:
		p.Detail += "; there are " + strings.Join(known, ", ")
	}
	return p
}

// Nearest returns the known words within two edits, or a third of the word's
// length, of it: at most three, the nearest first.
func Nearest(word string, known []string) []string {
	limit := max(2, len(word)/3)
	var words []string
	for _, k := range known {
		if distance(word, k) <= min(limit, len(k)-1) {
			words = append(words, k)
		}
	}
	slices.SortStableFunc(words, func(a, b string) int { return distance(word, a) - distance(word, b) })
	return words[:min(len(words), 3)]
}

// distance is Levenshtein's, in bytes, by his recurrence over one row.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
