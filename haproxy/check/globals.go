// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Global is a line of a global section of the operator.
type Global struct {
	File  string
	Line  int
	Words []string // without comments, never empty
}

// String is "/etc/haproxy/haproxy.cfg:7: server-state-file /var/lib/haproxy/state".
func (g Global) String() string {
	return fmt.Sprintf("%s:%d: %s", g.File, g.Line, strings.Join(g.Words, " "))
}

// Globals returns the lines of the global sections of the operator's files, in their
// order. It reads the lines as HAProxy does, except that it does not evaluate
// conditions (".if") and variables. A file that does not exist has no lines.
func (h HAProxy) Globals() ([]Global, error) {
	var globals []Global
	err := h.eachLine(func(l line) {
		if l.section == "global" {
			globals = append(globals, Global{l.file, l.number, l.words})
		}
	})
	return globals, err
}

// line is a line of an operator's file within a section.
type line struct {
	file    string
	number  int
	section string   // its keyword: "global"
	words   []string // without comments, never empty
}

// eachLine calls f for each line of the operator's files that does not begin a section.
// It skips files that do not exist.
func (h HAProxy) eachLine(f func(line)) error {
	for _, path := range h.Files {
		files := []string{path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if files, err = filepath.Glob(filepath.Join(path, "*.cfg")); err != nil {
				return err
			}
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if os.IsNotExist(err) {
				continue
			}
			if err != nil {
				return err
			}
			eachLineOf(file, string(text), f)
		}
	}
	return nil
}

// sections are the keywords that begin a section (configuration.txt chapter 2 to 12).
const sections = " global defaults frontend backend listen peers resolvers userlist mailers cache program http-errors ring log-forward log-profile fcgi-app crt-store traces acme "

func eachLineOf(file, text string, f func(line)) {
	l := line{file: file}
	for written := range strings.Lines(text) {
		l.number++
		l.words = wordsOf(written)
		switch {
		case len(l.words) == 0:
		case strings.Contains(sections, " "+l.words[0]+" "):
			l.section = l.words[0]
		case l.section != "":
			f(l)
		}
	}
}

// wordsOf returns the words of a line, without quotes and comments (configuration.txt
// 2.2 "Quoting and escaping").
func wordsOf(line string) (words []string) {
	var word strings.Builder
	began := false
	var quote rune
	escaped := false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, began = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, began = r, true
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n' || r == '\r'):
			if began {
				words = append(words, word.String())
				word.Reset()
				began = false
			}
		case quote == 0 && r == '#':
			if began {
				words = append(words, word.String())
			}
			return words
		default:
			word.WriteRune(r)
			began = true
		}
	}
	if began {
		words = append(words, word.String())
	}
	return words
}

// NamesStateFile reports whether a line names a file of server states, which HAProxy
// then uses instead of the one that podgate names: "server-state-file" counts once.
func NamesStateFile(globals []Global) bool {
	for _, g := range globals {
		if g.Words[0] == "server-state-file" {
			return true
		}
	}
	return false
}
