package scenario

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// maxShown is how many errors Errors.Error prints. maxKept bounds what a hostile
// file can make Parse remember.
const (
	maxShown = 20
	maxKept  = 1000
)

// Pos is where a value was typed. Lines and columns count from 1, columns in
// characters. The zero Pos means: nobody typed it.
type Pos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// IsSet reports whether the value was typed.
func (p Pos) IsSet() bool { return p.Line > 0 }

// Error is one complaint about a scenario file.
type Error struct {
	File    string `json:"file"`
	Pos            // of the first character complained about
	Message string `json:"message"`
	Suggest string `json:"suggest,omitempty"` // what was probably meant, if something near is known
	Source  string `json:"source,omitempty"`  // the line at Pos
}

// Error returns "file:line:column: message", the source line and a caret under the column.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
	if e.Suggest != "" {
		fmt.Fprintf(&b, "; did you mean %q?", e.Suggest)
	}
	text, column := window([]rune(e.Source), e.Column)
	number := fmt.Sprintf("%5d", e.Line)
	fmt.Fprintf(&b, "\n%s | %s\n%*s | %s^", number, text, len(number), "", strings.Repeat(" ", column-1))
	return b.String()
}

// window cuts a long line to what surrounds the column, and replaces what a
// terminal would not show as one cell. It returns the column within the cut.
func window(line []rune, column int) (string, int) {
	const width, before = 120, 60
	column = max(1, min(column, len(line)+1))
	cut := ""
	if column > width-before {
		from := column - before
		line, column, cut = line[from:], column-from+1, "…"
	}
	if len(line) > width {
		line = append(slices.Clone(line[:width]), '…')
	}
	clean := strings.Map(func(r rune) rune {
		if r == '\t' || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, string(line))
	return cut + clean, column
}

// Errors is everything wrong with a scenario file, by position. It is never empty.
type Errors []*Error

// Error returns the first errors, one after the other, and how many are left.
func (e Errors) Error() string {
	var parts []string
	for _, err := range e[:min(len(e), maxShown)] {
		parts = append(parts, err.Error())
	}
	if more := len(e) - maxShown; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "\n")
}

// Unwrap makes each Error reachable for errors.As.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, err := range e {
		out[i] = err
	}
	return out
}

// source is the file that was read, and what is wrong with it.
type source struct {
	file     string
	language string // what the file is: "scenario"
	lines    []string
	errs     Errors
}

// fresh is the same file before anything was found wrong with it.
func (s *source) fresh() *source {
	return &source{file: s.file, language: s.language, lines: s.lines}
}

// fail notes an error at a position; a zero position means the file as a whole.
func (s *source) fail(at Pos, suggest, format string, args ...any) {
	if len(s.errs) >= maxKept {
		return
	}
	if !at.IsSet() {
		at = Pos{Line: 1, Column: 1}
	}
	e := &Error{File: s.file, Pos: at, Message: fmt.Sprintf(format, args...), Suggest: suggest}
	if at.Line <= len(s.lines) {
		e.Source = strings.TrimRight(s.lines[at.Line-1], " \t\r")
	}
	s.errs = append(s.errs, e)
}

// err returns the errors noted, sorted by position and without repetition, or nil.
func (s *source) err() error {
	if len(s.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(s.errs, func(a, b *Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	s.errs = slices.CompactFunc(s.errs, func(a, b *Error) bool { return a.Pos == b.Pos && a.Message == b.Message })
	return s.errs
}
