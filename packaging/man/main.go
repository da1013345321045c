// SPDX-License-Identifier: Apache-2.0

// Command man makes a man page on standard output of Markdown on standard
// input. It is for the build of the package and no part of it.
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
	// Long names leave lines that cannot be adjusted to both margins.
	head, rest, _ := strings.Cut(page, "\n.TH ")
	header, rest, _ := strings.Cut(rest, "\n")
	rest = regexp.MustCompile(`[^\s:]+(:[^\s:]+){2,}`).ReplaceAllStringFunc(rest, func(list string) string {
		return strings.ReplaceAll(list, ":", `:\:`) // may be broken there
	})
	_, err = fmt.Fprintf(out, "%s\n.TH %s\n.ad l\n%s", head, header, rest)
	return err
}

// manualLink leads to another page of packaging/doc, or to a section of it.
var manualLink = regexp.MustCompile(`\[[^\]]+\]\(([a-z]+\.md)(?:#[a-z-]+)?\)`)

// forTerminal writes what a terminal has no room for another way: of a table,
// each row becomes a paragraph below its first cell; of a link to another page, the
// place where the package has that. The title of the document goes, since a man
// page begins with NAME.
func forTerminal(markdown string) string {
	var b strings.Builder
	var header []string // of the table that we are in
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

// definition is "**key**" and below it what the last cell says, with those
// between in brackets.
func definition(header, cells []string) string {
	term := "**" + strings.Trim(cells[0], "`") + "**"
	last := len(cells) - 1
	var between []string
	for i := 1; i < last; i++ {
		said := cells[i]
		switch {
		case said == "-":
			continue
		case header[i] == "a change takes effect":
			said = "takes effect " + said
		case header[i] != "value":
			said = header[i] + " " + said
		}
		between = append(between, said)
	}
	text := cells[last]
	if len(between) > 0 {
		text += " (" + strings.Join(between, "; ") + ")"
	}
	return term + "\n: " + text + "\n\n"
}
