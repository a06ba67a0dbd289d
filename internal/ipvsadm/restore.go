package ipvsadm

import "strings"

// lines takes what -R reads apart: a command line without its program per line,
// words between blanks and tabs. Neither quotes nor comments mean anything.
func lines(text string) [][]string {
	var all [][]string
	for line := range strings.SplitSeq(text, "\n") {
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(words) > 0 {
			all = append(all, words)
		}
	}
	return all
}
