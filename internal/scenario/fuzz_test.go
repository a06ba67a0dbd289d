package scenario

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Whatever the bytes, Parse and Resolve return; what they refuse, they refuse
// at a position within the file; what they accept holds together.
func FuzzParseAndResolve(f *testing.F) {
	for _, pattern := range []string{repository + "*.yaml", "testdata/*.yaml", "testdata/broken/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := understand("fuzz.yaml", data)
		if err == nil {
			checkInvariants(t, s)
			return
		}
		var all Errors
		if !errors.As(err, &all) || len(all) == 0 {
			t.Fatalf("the error is a %T: want Errors", err)
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 1
		for _, e := range all {
			if e.Line < 1 || e.Line > lines || e.Column < 1 {
				t.Errorf("position outside of the file's %d lines: %v", lines, e)
			}
		}
	})
}

// Files made to be slow or deep are refused, or accepted, within a moment.
func TestHostileFilesCostAMoment(t *testing.T) {
	fill := func(head, line string) string {
		return head + strings.Repeat(line, (maxFile-len(head)-1)/len(line))
	}
	const entries = 12_000 // of four tokens: just under maxWords
	numbered := func(head, line string) string {
		var b strings.Builder
		b.WriteString(head)
		for i := 0; i < entries && b.Len() < maxFile-100; i++ {
			b.WriteString(strings.ReplaceAll(line, "#", strconv.Itoa(i)))
		}
		return b.String()
	}
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := range 30 {
		alias := "*a" + strconv.Itoa(i)
		laughs += "a" + strconv.Itoa(i+1) + ": &a" + strconv.Itoa(i+1) + " [" + strings.Repeat(alias+", ", 8) + alias + "]\n"
	}
	for name, text := range map[string]string{
		"billion laughs":      laughs,
		"too many words":      fill("name: x\n", "k: 1\n"),
		"open brackets":       fill("name: ", "[\n"),
		"open braces":         fill("name: ", "{a: \n"),
		"nested entries":      fill("name: x\nservices:\n", strings.Repeat("- ", 2000)+"\n"),
		"nested keys":         fill("", strings.Repeat("? ", 2000)+"\n"),
		"many services":       numbered("name: x\nservers: 3000\nservices:\n", "  s#: {plane: l7}\n"),
		"many networks":       numbered("name: x\nservices: {a: {plane: l7}}\nnetworks:\n", "  n#:\n"),
		"many nodes":          numbered("name: x\nservices: {a: {plane: l7}}\nnodes:\n", "  w#: {role: server}\n"),
		"many routers":        numbered("name: x\nservices: {a: {plane: l7}}\nnetworks: {a: , b: , c: , d: }\nnodes:\n", "  r#: {role: router}\n"),
		"many unknown names":  numbered("name: x\nservers: 3000\nservices:\n  a:\n    plane: l7\n    backends:\n", "    - sx#y\n"),
		"many unknown keys":   numbered("name: x\n", "k#: 1\n"),
		"one backend, often":  fill("name: x\nservers: 3000\nservices:\n  a:\n    plane: l7\n    backends:\n", "    - s1\n"),
		"a long string":       fill("name: \"", "x\n"),
		"a long block":        fill("name: |\n", "  x\n"),
		"comments":            fill("name: x\n", "#\n"),
		"many bad characters": fill("name: x\n", "\x01\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var err error
			costs(t, 30*time.Second, func() { _, err = understand("hostile.yaml", []byte(text)) })
			if err == nil {
				t.Error("it is accepted")
			}
		})
	}
}
