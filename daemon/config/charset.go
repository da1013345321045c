// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// The characters beside letters and digits that a value may hold. What goes
// into HAProxy's configuration holds none that means something there: white
// space, quotes, '\', '#', '$' and '%' (configuration.txt 2.2 "Quoting and
// escaping").
const (
	pathMarks   = "._/+@:,=-"
	cookieMarks = "._-"
)

// wordOf refuses characters other than ASCII letters, digits and marks.
func wordOf(s, marks string) error {
	for _, r := range s {
		if !isAlphanumeric(r) && !strings.ContainsRune(marks, r) {
			return fmt.Errorf("%q contains %q, which could break HAProxy's configuration (use letters, digits and %s)", s, r, marks)
		}
	}
	return nil
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// printable refuses control characters.
func printable(s string) error {
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("%q contains the control character %q", s, r)
		}
	}
	return nil
}

// absolutePath cleans a path that only podgate reads.
func absolutePath(s string) (string, error) {
	if !path.IsAbs(s) {
		return "", fmt.Errorf("%q is not an absolute path (begin with /)", s)
	}
	return path.Clean(s), printable(s)
}

// haproxyPath cleans a path that HAProxy reads too.
func haproxyPath(s string) (string, error) {
	s, err := absolutePath(s)
	if err != nil {
		return "", err
	}
	return s, wordOf(s, pathMarks)
}

// folder is a path but "/".
func folder(s string) (string, error) {
	s, err := haproxyPath(s)
	if s == "/" {
		return "", fmt.Errorf("%q cannot be podgate's alone", s)
	}
	return s, err
}

// maxSocketPath is what sun_path holds, less its final NUL (unix(7)).
const maxSocketPath = 107

// socket is the path of a Unix socket.
func socket(s string) (string, error) {
	s, err := haproxyPath(s)
	if err == nil && len(s) > maxSocketPath {
		return "", fmt.Errorf("%q has %d characters, a socket's path at most %d", s, len(s), maxSocketPath)
	}
	return s, err
}

// contextName is whatever a kubeconfig calls a context.
func contextName(s string) (string, error) { return s, printable(s) }

func cookieName(s string) (string, error) { return s, wordUpTo(s, cookieMarks, 64) }

// cookieKey is not repeated in errors: who knows it can tell which server a
// cookie names.
func cookieKey(s string) (string, error) {
	err := wordUpTo(s, pathMarks, 128)
	if s != "" && wordOf(s, pathMarks) != nil {
		err = fmt.Errorf("contains other than letters, digits and %s", pathMarks)
	}
	return s, err
}

// wordUpTo refuses what wordOf refuses, and a length in bytes that is not 1 to
// most.
func wordUpTo(s, marks string, most int) error {
	switch {
	case s == "":
		return errors.New("is empty")
	case len(s) > most:
		return fmt.Errorf("has %d characters, more than %d", len(s), most)
	}
	return wordOf(s, marks)
}
