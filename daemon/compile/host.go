// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"errors"
	"fmt"
	"strings"
)

// parseHost reads a DNS name (RFC 1123 section 2.1), or one with "*." in
// front. It is lower-cased; a dot at its end goes. Other alphabets are written
// as their xn-- names: folding their case is not a matter for an edge.
func parseHost(value string) (string, error) {
	host := strings.TrimSuffix(value, ".")
	name := strings.TrimPrefix(host, "*.")
	if name == "" {
		return "", fmt.Errorf("%s is not a host name", quote(value))
	}
	if len(host) > 253 {
		return "", fmt.Errorf("%s is longer than the 253 characters of a host name", quote(value))
	}
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return "", fmt.Errorf("%s is not a host name: %w", quote(value), err)
		}
	}
	return strings.ToLower(host), nil
}

// checkLabel says what keeps a string from being one label of a DNS name.
func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("empty label")
	case len(label) > 63:
		return errors.New("a label is longer than 63 characters")
	case label[0] == '-' || label[len(label)-1] == '-':
		return errors.New("a label begins or ends with -")
	}
	for i := range len(label) {
		switch c := label[i]; {
		case isAlphanumeric(c) || c == '-':
		case c == '*':
			return errors.New("* may only be the whole first label")
		case c == ':' || c == '/':
			return errors.New("it is written without scheme, port and path")
		default:
			return errors.New("a character other than letters, digits, - and dots")
		}
	}
	return nil
}

// isLabel reports whether name is a DNS label in lower case, as the API server
// demands of namespaces and Services.
func isLabel(name string) bool {
	return checkLabel(name) == nil && name == strings.ToLower(name)
}
