// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// locate returns the line, from 1, of every key, table and list entry of a valid
// TOML text, by path: "kubernetes", "kubernetes.server", "http.bind[1]",
// "grant[0].hosts". The toml package has no lines of list entries and of repeated
// tables. For a text that is not valid TOML, lines may be missing or wrong.
func locate(text string) map[string]int {
	s := &scanner{
		text:  strings.TrimPrefix(text, "\ufeff"),
		line:  1,
		lines: make(map[string]int),
		last:  make(map[string]int),
	}
	var table string
	for s.skipBlank(); s.pos < len(s.text); s.skipBlank() {
		switch {
		case s.has("[["):
			s.skip(2)
			table = s.arrayOfTables()
			s.skip(2)
		case s.has("["):
			s.skip(1)
			table = s.table(s.key())
			s.record(table)
			s.skip(1)
		default:
			s.keyValue(table)
		}
	}
	return s.lines
}

// scanner walks through a TOML text. It finds where values begin and end, and does
// not interpret them.
type scanner struct {
	text  string
	pos   int // byte offset
	line  int // of pos
	lines map[string]int
	last  map[string]int // path of an array of tables -> its last index
}

func (s *scanner) has(prefix string) bool { return strings.HasPrefix(s.text[s.pos:], prefix) }

// skip skips n bytes, or the rest of the text.
func (s *scanner) skip(n int) {
	end := min(s.pos+n, len(s.text))
	s.line += strings.Count(s.text[s.pos:end], "\n")
	s.pos = end
}

// skipUntil skips to the next byte of stop, or to the end of the text.
func (s *scanner) skipUntil(stop string) {
	n := strings.IndexAny(s.text[s.pos:], stop)
	if n < 0 {
		n = len(s.text)
	}
	s.skip(n)
}

// record sets the line of path, unless an earlier one is known.
func (s *scanner) record(path string) {
	if _, ok := s.lines[path]; !ok {
		s.lines[path] = s.line
	}
}

// skipBlank skips white space, newlines and comments.
func (s *scanner) skipBlank() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.skip(1)
		case '#':
			s.skipUntil("\n")
		default:
			return
		}
	}
}

// key skips a key, dotted or not, up to the "=" or "]" after it, and returns its
// parts, unquoted.
func (s *scanner) key() []string {
	start := s.pos
	for s.pos < len(s.text) && !strings.ContainsRune("=]\n", rune(s.text[s.pos])) {
		if s.has(`"`) || s.has(`'`) {
			s.quoted()
		} else {
			s.skip(1)
		}
	}
	var tree map[string]any
	meta, err := toml.Decode(s.text[start:s.pos]+"= 0", &tree)
	if err != nil {
		return nil
	}
	var parts toml.Key
	for _, k := range meta.Keys() {
		if len(k) > len(parts) {
			parts = k
		}
	}
	return parts
}

// table returns the path of a table header; in an array of tables, the path below
// its last entry.
func (s *scanner) table(parts []string) string {
	var path string
	for _, part := range parts {
		path = join(path, part)
		s.record(path)
		if n, ok := s.last[path]; ok {
			path = fmt.Sprintf("%s[%d]", path, n)
		}
	}
	return path
}

// arrayOfTables skips the key of a [[header]], and returns the path of the new
// entry.
func (s *scanner) arrayOfTables() string {
	parts := s.key()
	if len(parts) == 0 {
		return ""
	}
	path := join(s.table(parts[:len(parts)-1]), parts[len(parts)-1])
	n, ok := s.last[path]
	if ok {
		n++
	}
	s.last[path] = n
	s.record(path)
	entry := fmt.Sprintf("%s[%d]", path, n)
	s.record(entry)
	return entry
}

// keyValue skips "key = value" in a table.
func (s *scanner) keyValue(table string) {
	path := table
	for _, part := range s.key() {
		path = join(path, part)
		s.record(path)
	}
	s.skip(1) // "="
	s.skipBlank()
	s.value(path)
}

func (s *scanner) value(path string) {
	switch {
	case s.has(`"`), s.has(`'`):
		s.quoted()
	case s.has("["):
		s.skip(1)
		s.entries("]", func(n int) {
			entry := fmt.Sprintf("%s[%d]", path, n)
			s.record(entry)
			s.value(entry)
		})
	case s.has("{"):
		s.skip(1)
		s.entries("}", func(int) { s.keyValue(path) })
	default:
		s.skipUntil(",]}#\n")
	}
}

// entries skips the entries between commas, and closing.
func (s *scanner) entries(closing string, entry func(n int)) {
	for n := 0; ; n++ {
		for s.skipBlank(); s.has(","); s.skipBlank() {
			s.skip(1)
		}
		if s.pos == len(s.text) {
			return
		}
		if s.has(closing) {
			s.skip(1)
			return
		}
		start := s.pos
		entry(n)
		if s.pos == start {
			s.skip(1)
		}
	}
}

// quoted skips a string in any of TOML's four kinds of quotes.
func (s *scanner) quoted() {
	quote := s.text[s.pos : s.pos+1]
	long := strings.Repeat(quote, 3)
	if s.has(long) {
		s.skip(3)
		s.quotedUntil(long)
		for range 2 { // quotes at the end of the string itself
			if s.has(quote) {
				s.skip(1)
			}
		}
		return
	}
	s.skip(1)
	s.quotedUntil(quote)
}

func (s *scanner) quotedUntil(closing string) {
	for s.pos < len(s.text) {
		switch {
		case s.has(closing):
			s.skip(len(closing))
			return
		case closing[0] == '"' && s.has(`\`):
			s.skip(2)
		default:
			s.skip(1)
		}
	}
}

// join returns the path of a key in a table.
func join(table, part string) string {
	part = toml.Key{part}.String()
	if table == "" {
		return part
	}
	return table + "." + part
}
