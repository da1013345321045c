// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"errors"
	"fmt"
	"strings"

	"podgate/haproxy"
)

// maxPath is the longest path prefix. With the longest host it stays well
// below what a line of a map may hold.
const maxPath = 256

// pathMatch is a path prefix as a route has it.
type pathMatch struct {
	path     string // "" for everything
	foldCase bool
}

// everything reports whether every path matches, so that none of it can be
// rewritten.
func (p pathMatch) everything() bool { return p.path == "" }

// parsePath reads a path prefix of whole segments. A slash at its end goes, so
// that "/" is "". The characters are those of RFC 3986's pchar without what
// reads as a pattern, a list or a quotation elsewhere: ! $ & ' ( ) * , ;
func parsePath(value string) (string, error) {
	if len(strings.TrimSuffix(value, "/")) > maxPath {
		return "", tooLongPath(value)
	}
	rest, rooted := strings.CutPrefix(value, "/")
	if !rooted {
		return "", fmt.Errorf("%s is not a path: it does not begin with /", quote(value))
	}
	rest = strings.TrimSuffix(rest, "/")
	if rest == "" && value != "//" {
		return "", nil
	}
	for segment := range strings.SplitSeq(rest, "/") {
		if err := checkSegment(segment); err != nil {
			return "", fmt.Errorf("%s is not a path: %w", quote(value), err)
		}
	}
	return "/" + rest, nil
}

func tooLongPath(value string) error {
	return fmt.Errorf("%s is longer than %d characters", quote(value), maxPath)
}

// checkSegment says what keeps a string from being a segment of a prefix.
// Dot segments never reach the match: clients and proxies take them out (RFC
// 3986 section 5.2.4), percent-encoded or not.
func checkSegment(segment string) error {
	if segment == "" {
		return errors.New("empty segment")
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
			return errors.New("prefixes have no wildcards")
		default:
			return errors.New("a character other than letters, digits and - . _ ~ : @ + = %XX")
		}
	}
	switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
	case ".", "..":
		return errors.New(`a segment is "." or ".."`)
	}
	return nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// parseACLMatch reads what the ancestor put behind "path_beg": prefixes
// between blanks, "-i" in front to match them without regard to case.
func parseACLMatch(value string) ([]pathMatch, error) {
	fields := strings.FieldsFunc(value, func(r rune) bool { return r == ' ' })
	foldCase := len(fields) > 0 && fields[0] == "-i"
	if foldCase {
		fields = fields[1:]
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("%s has no path", quote(value))
	}
	matches := make([]pathMatch, len(fields))
	for i, f := range fields {
		path, err := parsePath(f)
		if err != nil {
			return nil, err
		}
		if foldCase {
			path = strings.ToLower(path)
		}
		matches[i] = pathMatch{path: path, foldCase: foldCase}
	}
	return matches, nil
}

// parseRewrite reads a bool, or the path that stands for the matched prefix.
func parseRewrite(value string) (haproxy.Rewrite, error) {
	if strings.HasPrefix(value, "/") {
		path, err := parsePath(value)
		if err != nil {
			return "", err
		}
		return haproxy.Rewrite("/" + strings.TrimPrefix(path, "/")), nil
	}
	strip, err := parseBool(value)
	if err != nil {
		return "", fmt.Errorf("%s is not true, false or a path", quote(value))
	}
	if strip {
		return "/", nil
	}
	return "", nil
}

// parseCheckPath reads the path of an HTTP health check, "/" among them.
func parseCheckPath(value string) (string, error) {
	path, err := parsePath(value)
	if err != nil || path != "" && !strings.HasSuffix(value, "/") {
		return path, err
	}
	if len(path+"/") > maxPath {
		return "", tooLongPath(value)
	}
	return path + "/", nil
}
