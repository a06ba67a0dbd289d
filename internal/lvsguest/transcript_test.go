package lvsguest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What the real ipvsadm prints today is what the transcripts say.
func TestRealIpvsadmPrintsWhatTheTranscriptsSay(t *testing.T) {
	said := guest(t)
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := said[filepath.Base(file)]
			if !ok {
				t.Fatal("the guest said nothing of it")
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(settled(string(want)), settled(got)); diff != "" {
				t.Errorf("-transcript +guest:\n%s", diff)
			}
		})
	}
}

// number is a field of digits, or a time, between blanks: what varies.
var number = regexp.MustCompile(`^(\d+|\d\d:\d\d)$`)

// settled returns a transcript's lines; those that a command marked $~ printed
// are sorted, with numbers and times masked.
func settled(transcript string) []string {
	var lines, varying []string
	varies := false
	for line := range strings.Lines(transcript) {
		line = strings.TrimSuffix(line, "\n")
		if varies && strings.HasPrefix(line, "> ") {
			varying = append(varying, masked(line))
			continue
		}
		slices.Sort(varying)
		lines, varying = append(lines, varying...), nil
		lines = append(lines, line)
		varies = strings.HasPrefix(line, "$~ ")
	}
	return lines
}

func masked(line string) string {
	fields := strings.Fields(line)
	for i, field := range fields {
		if number.MatchString(field) {
			fields[i] = "#"
		}
	}
	return strings.Join(fields, " ")
}
