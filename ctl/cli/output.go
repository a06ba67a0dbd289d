package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/urfave/cli/v2"
)

// print writes v as the verb's -o flag says; table is called for the human form.
func (s *shell) print(c *cli.Context, v any, table func(*tableWriter)) error {
	switch c.String("output") {
	case "json":
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	case "yaml":
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if data, err = yaml.JSONToYAML(data); err != nil {
			return err
		}
		_, err = s.out.Write(data)
		return err
	}
	t := &tableWriter{color: s.color}
	table(t)
	return t.flush(s.out)
}

// A cell is a text and the ANSI colour it has on a terminal.
type cell struct{ text, style string }

const (
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	reset  = "\x1b[0m"
)

// tableWriter aligns columns by what is seen, so colour codes and wide
// characters do not push a row out of line.
type tableWriter struct {
	color bool
	rows  [][]cell
}

// row adds a line of cells; a cell is a cell, or anything that fmt prints.
func (t *tableWriter) row(values ...any) {
	cells := make([]cell, len(values))
	for i, v := range values {
		if c, ok := v.(cell); ok {
			cells[i] = c
		} else {
			cells[i] = cell{text: fmt.Sprint(v)}
		}
	}
	t.rows = append(t.rows, cells)
}

// head adds a line of column titles.
func (t *tableWriter) head(titles ...string) {
	cells := make([]cell, len(titles))
	for i, title := range titles {
		cells[i] = cell{title, dim}
	}
	t.rows = append(t.rows, cells)
}

// line adds a line that takes no part in the alignment.
func (t *tableWriter) line(format string, args ...any) {
	t.rows = append(t.rows, []cell{{text: fmt.Sprintf(format, args...)}})
}

func (t *tableWriter) flush(w io.Writer) error {
	var b strings.Builder
	for start := 0; start < len(t.rows); {
		end := start + 1
		if len(t.rows[start]) > 1 {
			for end < len(t.rows) && len(t.rows[end]) > 1 {
				end++
			}
		}
		t.block(&b, t.rows[start:end])
		start = end
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *tableWriter) block(b *strings.Builder, rows [][]cell) {
	var widths []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, r := range rows {
		for i, c := range r {
			text := c.text
			pad := 0
			if i < len(r)-1 {
				pad = widths[i] - utf8.RuneCountInString(text) + 2
			}
			if t.color && c.style != "" && text != "" {
				text = c.style + text + reset
			}
			b.WriteString(text)
			b.WriteString(strings.Repeat(" ", pad))
		}
		b.WriteByte('\n')
	}
}
