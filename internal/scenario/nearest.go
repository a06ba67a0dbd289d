package scenario

import "strings"

// nearest returns the known word that a typing mistake most likely turned into
// word, or "": at most one mistake in three letters, two in any word that begins
// as the known one does. The first known word wins a tie.
func nearest(word string, known []string) string {
	if len(word) > 64 {
		return ""
	}
	best, bestDistance := "", 64
	for _, k := range known {
		allowed := max(1, len(word)/3)
		if begins := 3; len(k) > begins && len(word) > begins && strings.EqualFold(k[:begins], word[:begins]) {
			allowed = max(2, allowed)
		}
		if k == "" || len(k)-len(word) > allowed || len(word)-len(k) > allowed {
			continue
		}
		if letters(k) == letters(word) && k != strings.ToLower(word) {
			continue // s3 for s1 is another thing, not a slip
		}
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d <= allowed && d < bestDistance && d < len(k) {
			best, bestDistance = k, d
		}
	}
	return best
}

func letters(word string) string {
	return strings.ToLower(strings.TrimRight(word, "0123456789"))
}

// distance is the number of insertions, deletions, substitutions and swaps of
// neighbours between two words (Damerau–Levenshtein, optimal string alignment:
// Boytsov, Indexing methods for approximate dictionary searching, 2011).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
