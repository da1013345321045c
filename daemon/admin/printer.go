// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

// Style is how text is printed. The zero value is plain text.
type Style struct {
	Color bool // with ANSI escapes
	Width int  // columns of the terminal; zero does not cut lines
	All   bool // everything instead of one screen
}

// The colours (ECMA-48 SGR).
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
	faint  = "2"
)

// painted is clean text that may contain ANSI escapes.
type painted string

func (s Style) paint(code, text string) painted {
	text = clean(text)
	if !s.Color || text == "" {
		return painted(text)
	}
	return painted("\x1b[" + code + "m" + text + "\x1b[0m")
}

// clean replaces control characters, so that text from the cluster or from a pod
// cannot control the terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '\uFFFD'
		}
		return r
	}, text)
}

// cut shortens a line to the width of the terminal.
func (s Style) cut(line string) string {
	if s.Width == 0 || s.All || utf8.RuneCountInString(line) <= s.Width {
		return line
	}
	runes := []rune(line)
	return string(runes[:s.Width-1]) + "…"
}

// printer writes lines. It ignores errors.
type printer struct {
	w io.Writer
	Style
}

func (p printer) line(format string, args ...any) {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = clean(text)
		}
	}
	fmt.Fprintln(p.w, p.cut(fmt.Sprintf(format, args...)))
}

// uncut writes an indented line that is never cut, whatever the width.
func (p printer) uncut(color, text string) { fmt.Fprintln(p.w, "  "+string(p.paint(color, text))) }

func (p printer) head(text string) { fmt.Fprintf(p.w, "\n%s\n", p.paint(bold, text)) }

// table writes rows in columns. Color returns the color of a row. It colors whole
// lines, because escapes in a cell would count as its width.
func (p printer) table(header []string, rows [][]string, color func(row int) string) {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		if row != nil {
			cells := make([]string, len(row))
			for i, cell := range row {
				cells[i] = clean(cell)
			}
			fmt.Fprintln(t, "  "+strings.Join(cells, "\t"))
		}
	}
	_ = t.Flush() // into memory
	i := -1
	if header == nil {
		i = 0
	}
	for line := range strings.Lines(text.String()) {
		line = p.cut(strings.TrimRight(line, " \n"))
		switch {
		case i < 0:
			fmt.Fprintln(p.w, p.paint(faint, line))
		case color != nil:
			fmt.Fprintln(p.w, p.paint(color(i), line))
		default:
			fmt.Fprintln(p.w, line)
		}
		i++
	}
}

// warn lists problems, at most so many unless All is set.
func (p printer) warn(title string, lines []string, most int) {
	if len(lines) == 0 {
		return
	}
	p.head(fmt.Sprintf("%s (%d)", title, len(lines)))
	shown := lines
	if !p.All {
		shown = limit(lines, most)
	}
	for _, line := range shown {
		p.uncut(yellow, line)
	}
	p.more(len(lines)-len(shown), "podgate status --all")
}

func (p printer) more(left int, command string) {
	if left > 0 {
		p.line("  and %d more: %s", left, command)
	}
}

// ago formats a duration: "3s", "5m12s", "2h5m", "3d4h".
func ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return "0s"
	case d < time.Hour:
		return d.Truncate(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	days := d / (24 * time.Hour)
	return fmt.Sprintf("%dd%dh", days, (d-days*24*time.Hour)/time.Hour)
}

// short formats a duration with about three digits.
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	}
	return ago(d)
}
