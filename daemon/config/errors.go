// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
)

// Error is one mistake in a configuration file.
type Error struct {
	File string // as given to Load or Parse
	Line int    // from 1
	Key  string // "kubernetes.server"; "" for a TOML syntax error
	Text string // the mistake and, if known, the remedy
}

// Error returns "FILE:LINE: KEY: TEXT", one line.
func (e Error) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Key, e.Text)
}

// Errors are all mistakes in a configuration file, by line. Load and Parse return
// them, never empty, if the file could be read.
type Errors []Error

// Error returns one line per Error, without a final newline.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}
