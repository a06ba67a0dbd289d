package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// style is how a cell or line is shown where colour is wanted.
type style string

const (
	plain   style = ""
	bold    style = "\x1b[1m"
	dim     style = "\x1b[2m"
	green   style = "\x1b[32m"
	yellow  style = "\x1b[33m"
	noStyle       = "\x1b[0m"
)

// printer writes text and remembers the first error, so that its callers read as
// the page they print.
type printer struct {
	w     io.Writer
	color bool
	err   error
}

func (p *printer) styled(s style, text string) string {
	if !p.color || s == plain || text == "" {
		return text
	}
	return string(s) + text + noStyle
}

func (p *printer) line(s style, format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, p.styled(s, fmt.Sprintf(format, args...)))
	}
}

// wrapped prints text after a mark, broken at spaces to fit the width, later
// lines indented like the first.
func (p *printer) wrapped(s style, mark, text string) {
	const width = 118
	indent := strings.Repeat(" ", utf8.RuneCountInString(mark))
	line := mark
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
			line += word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			p.line(s, "%s", line)
			line = indent + word
		default:
			line += " " + word
		}
	}
	p.line(s, "%s", line)
}

// grid is a table whose first column is aligned left, the others right. Rows may
// be ragged.
type grid struct{ rows [][]string }

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

// print writes the grid; the first heads rows are headings.
func (g *grid) print(p *printer, heads int) {
	var widths []int
	for _, row := range g.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range g.rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString("  " + cell + pad)
			} else {
				b.WriteString("  " + pad + cell)
			}
		}
		s := plain
		if n < heads {
			s = dim
		}
		p.line(s, "%s", strings.TrimRight(b.String(), " "))
	}
}
