// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"errors"
	"fmt"
	"strings"
)

// PathPrefix is a prefix of a path that consists of whole segments, without a
// trailing slash: "/cart". The zero value matches every path.
type PathPrefix string

// MaxPath is the maximum length of a PathPrefix. With the longest host it stays well
// below the maximum length of a line of a map.
const MaxPath = 256

// ParsePathPrefix parses a PathPrefix, with or without a trailing slash. It allows
// pchar of RFC 3986 except for the characters that mean a pattern, a list or a
// quotation elsewhere: ! $ & ' ( ) * , ; It returns the normal form of NormalizePath. The
// error contains only the reason; the caller adds the value.
func ParsePathPrefix(s string) (PathPrefix, error) {
	prefix := strings.TrimSuffix(s, "/")
	switch {
	case len(prefix) > MaxPath:
		return "", fmt.Errorf("it has more than %d characters", MaxPath)
	case !strings.HasPrefix(s, "/"):
		return "", errors.New("it does not begin with /")
	case s == "/":
		return "", nil
	}
	for segment := range strings.SplitSeq(prefix[1:], "/") {
		if err := checkSegment(segment); err != nil {
			return "", err
		}
	}
	return PathPrefix(normalizePercent(prefix)), nil
}

// checkSegment returns why segment is not allowed in a prefix. Dot segments are not:
// clients and proxies remove them from requests (RFC 3986 section 5.2.4),
// percent-encoded or not.
func checkSegment(segment string) error {
	if segment == "" {
		return errors.New("a segment is empty")
	}
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		switch {
		case isAlphanumeric(c) || strings.IndexByte("-._~:@+=", c) >= 0:
		case c == '%':
			if i+2 >= len(segment) || !isHex(segment[i+1]) || !isHex(segment[i+2]) {
				return errors.New("% is not followed by two hexadecimal digits")
			}
			i += 2
		case c == '*':
			return errors.New("a prefix has no wildcards")
		default:
			return errors.New("use letters, digits and - . _ ~ : @ + = %XX")
		}
	}
	if isDots(normalizePercent(segment)) {
		return errors.New(`a segment is "." or ".."`)
	}
	return nil
}

// Matches reports whether a path, without query, begins with the segments of p.
func (p PathPrefix) Matches(path string) bool {
	return strings.HasPrefix(path, string(p)) && (len(path) == len(p) || path[len(p)] == '/')
}
