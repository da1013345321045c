// SPDX-License-Identifier: Apache-2.0

// Command man converts Markdown on standard input to a man page on standard output. The
// build of the Debian package runs it; the package does not contain it.
//
//	man TITLE SECTION DATE SOURCE < PAGE.md
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 4 {
		return errors.New("usage: man TITLE SECTION DATE SOURCE < PAGE.md")
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("%% %q %q %q %q\n\n", args[0], args[1], args[2], args[3])
	page := string(md2man.Render([]byte(title + forTerminal(string(text)))))
	// Without .ad l, lines with long names have wide gaps.
	head, rest, _ := strings.Cut(page, "\n.TH ")
	header, rest, _ := strings.Cut(rest, "\n")
	rest = regexp.MustCompile(`[^\s:]+(:[^\s:]+){2,}`).ReplaceAllStringFunc(rest, func(list string) string {
		return strings.ReplaceAll(list, ":", `:\:`) // allows a line break
	})
	_, err = fmt.Fprintf(out, "%s\n.TH %s\n.ad l\n%s", head, header, rest)
	return err
}

// manualLink matches a link to another page of packaging/doc, or to a section of it.
var manualLink = regexp.MustCompile(`\[[^\]]+\]\(([a-z]+\.md)(?:#[a-z-]+)?\)`)

// forTerminal replaces what does not fit on a terminal. Each row of a table becomes a
// paragraph below its first cell. A link to another page becomes the path of that page in
// the package. The title is removed, because a man page begins with NAME.
func forTerminal(markdown string) string {
	var b strings.Builder
	var header []string // of the present table; nil outside of one
	markdown = manualLink.ReplaceAllString(markdown, "`/usr/share/doc/podgate/$1`")
	for line := range strings.Lines(markdown) {
		cells := row(line)
		switch {
		case cells == nil:
			header = nil
			if !strings.HasPrefix(line, "# ") || strings.ToUpper(line) == line {
				b.WriteString(line)
			}
		case header == nil:
			header = cells
		case strings.HasPrefix(cells[0], "--"): // the line below the header
		default:
			b.WriteString(definition(header, cells))
		}
	}
	return b.String()
}

// row returns the cells of a row of a table, nil for any other line.
func row(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") || !strings.HasSuffix(line, "|") {
		return nil
	}
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// definition returns "**FIRST CELL**" with the last cell below it, and the cells between
// them in brackets.
func definition(header, cells []string) string {
	term := "**" + strings.Trim(cells[0], "`") + "**"
	last := len(cells) - 1
	var between []string
	for i := 1; i < last; i++ {
		text := cells[i]
		switch {
		case text == "-":
			continue
		case header[i] == "a change takes effect":
			text = "takes effect " + text
		case header[i] != "value":
			text = header[i] + " " + text
		}
		between = append(between, text)
	}
	text := cells[last]
	if len(between) > 0 {
		text += " (" + strings.Join(between, "; ") + ")"
	}
	return term + "\n: " + text + "\n\n"
}
