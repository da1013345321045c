// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// The characters that a value may contain in addition to letters and digits. They
// do not include those with a meaning in HAProxy's configuration: white space,
// quotes, '\', '#', '$' and '%' (configuration.txt 2.2 "Quoting and escaping").
const (
	pathMarks   = "._/+@:,=-"
	cookieMarks = "._-"
)

// checkWord rejects characters other than ASCII letters, digits and marks.
func checkWord(s, marks string) error {
	for _, r := range s {
		if !isAlphanumeric(r) && !strings.ContainsRune(marks, r) {
			return fmt.Errorf("%q contains %q, which is not allowed in HAProxy's configuration (use letters, digits and %s)", s, r, marks)
		}
	}
	return nil
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// printable rejects control characters.
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
	return s, checkWord(s, pathMarks)
}

// folder cleans a path that HAProxy reads too, and rejects "/".
func folder(s string) (string, error) {
	s, err := haproxyPath(s)
	if s == "/" {
		return "", fmt.Errorf(`%q is not a dedicated folder (write it like "/var/lib/podgate/haproxy")`, s)
	}
	return s, err
}

// maxSocketPath is what sun_path holds, less its final NUL (unix(7)).
const maxSocketPath = 107

// socket is the path of a Unix socket.
func socket(s string) (string, error) {
	s, err := haproxyPath(s)
	if err == nil && len(s) > maxSocketPath {
		return "", fmt.Errorf("%q has %d characters; the maximum for a socket is %d", s, len(s), maxSocketPath)
	}
	return s, err
}

// contextName accepts every name that a kubeconfig may have for a context.
func contextName(s string) (string, error) { return s, printable(s) }

func cookieName(s string) (string, error) { return s, wordUpTo(s, cookieMarks, 64) }

// cookieKey does not repeat the key in errors: with the key, one can compute which
// server a cookie names.
func cookieKey(s string) (string, error) {
	err := wordUpTo(s, pathMarks, 128)
	if s != "" && checkWord(s, pathMarks) != nil {
		err = fmt.Errorf("contains characters other than letters, digits and %s", pathMarks)
	}
	return s, err
}

// wordUpTo is checkWord, and rejects a length in bytes that is not 1 to most.
func wordUpTo(s, marks string, most int) error {
	switch {
	case s == "":
		return errors.New("is empty")
	case len(s) > most:
		return fmt.Errorf("has %d characters; the maximum is %d", len(s), most)
	}
	return checkWord(s, marks)
}
