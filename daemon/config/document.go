// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// document is a configuration file as TOML, and the Errors found so far.
type document struct {
	file     string
	tree     map[string]any
	lines    map[string]int // by path, see locate
	errs     Errors
	rejected map[string]bool // keys with an Error
}

// decode reads text as TOML. On failure it returns an Errors.
func decode(file string, text []byte) (*document, error) {
	d := &document{file: file, rejected: make(map[string]bool)}
	if _, err := toml.Decode(string(text), &d.tree); err != nil {
		return nil, Errors{syntaxError(file, err)}
	}
	d.lines = locate(string(text))
	return d, nil
}

// syntaxError converts an error of the toml package.
func syntaxError(file string, err error) Error {
	e := Error{File: file, Line: 1, Text: strings.TrimPrefix(err.Error(), "toml: ")}
	var pe toml.ParseError
	if errors.As(err, &pe) {
		e.Line = max(1, pe.Position.Line)
		e.Text = pe.Message
	}
	first, size := utf8.DecodeRuneInString(e.Text)
	e.Text = oneLine(string(unicode.ToLower(first)) + strings.TrimSuffix(e.Text[size:], "."))
	return e
}

// oneLine escapes control characters, which the toml package does not.
func oneLine(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// line returns the line of path, else of the table around it, else 1.
func (d *document) line(path string) int {
	for path != "" {
		if n, ok := d.lines[path]; ok {
			return n
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 1
}

// reject adds an Error about key at the line of path.
func (d *document) reject(path, key, format string, args ...any) {
	d.rejected[key] = true
	d.errs = append(d.errs, Error{
		File: d.file,
		Line: d.line(path),
		Key:  key,
		Text: fmt.Sprintf(format, args...),
	})
}

// valid reports whether the file has a valid value, or none, for each of the keys.
func (d *document) valid(keys ...string) bool {
	for _, key := range keys {
		if d.rejected[key] {
			return false
		}
	}
	return true
}

// result returns c, or the Errors by line if there are any.
func (d *document) result(c *Config) (*Config, error) {
	if len(d.errs) == 0 {
		return c, nil
	}
	slices.SortStableFunc(d.errs, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key))
	})
	return nil, d.errs
}

// value is one value of a document, and its place.
type value struct {
	doc  *document
	path string // "http.bind[1]"
	key  string // "http.bind"
	v    any    // as the toml package decodes into an any
}

func (v value) reject(format string, args ...any) {
	v.doc.reject(v.path, v.key, format, args...)
}

// entries returns the entries of a list. It reports false if v is not a list.
func (v value) entries() ([]value, bool) {
	var list []any
	switch x := v.v.(type) {
	case []any:
		list = x
	case []map[string]any:
		for _, table := range x {
			list = append(list, table)
		}
	default:
		return nil, false
	}
	entries := make([]value, len(list))
	for i, x := range list {
		entries[i] = value{v.doc, fmt.Sprintf("%s[%d]", v.path, i), v.key, x}
	}
	return entries, true
}
