// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// text is a file, a string or a comment.
type text struct {
	file  string
	parts []part
}

// part is a piece of a text.
type part struct {
	line  int
	words string
}

// finding is a match of a rule.
type finding struct {
	file    string
	line    int
	words   string // the match
	around  string // the match with some text before and after it
	instead string
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %q in %q: %s", f.file, f.line, f.words, f.around, f.instead)
}

// lineStart matches the start of a comment line in TOML, YAML, Puppet or Go, where a
// sentence may continue.
var lineStart = regexp.MustCompile(`\n[ \t]*(#|//|\*|>)+`)

// find returns the matches of the rules.
func (t text) find(rules []rule) []finding {
	var all strings.Builder
	for _, p := range t.parts {
		all.WriteString(p.words)
	}
	// Blanks of the same length keep the offsets, and the newline keeps the line numbers.
	prose := lineStart.ReplaceAllStringFunc(all.String(), func(s string) string { return "\n" + strings.Repeat(" ", len(s)-1) })
	var found []finding
	for _, r := range rules {
		for _, at := range r.find.FindAllStringIndex(prose, -1) {
			if r.excused(prose, at) {
				continue
			}
			words := prose[at[0]:at[1]]
			found = append(found, finding{
				file: t.file, line: t.lineOf(at[0]), words: oneLine(words),
				around: around(prose, at), instead: r.instead,
			})
		}
	}
	return found
}

// lineOf returns the line of the file that the byte at offset is on.
func (t text) lineOf(offset int) int {
	for _, p := range t.parts {
		if offset < len(p.words) {
			return p.line + strings.Count(p.words[:offset], "\n")
		}
		offset -= len(p.words)
	}
	return 0
}

// around returns s[at[0]:at[1]] with up to 30 bytes on either side.
func around(s string, at []int) string {
	begin, end := max(0, at[0]-30), min(len(s), at[1]+30)
	for begin > 0 && !utf8.RuneStart(s[begin]) {
		begin--
	}
	for end < len(s) && !utf8.RuneStart(s[end]) {
		end++
	}
	return oneLine(s[begin:end])
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
