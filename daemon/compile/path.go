// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"fmt"
	"strings"

	"podgate/haproxy"
)

// pathMatch is a path prefix as a route has it.
type pathMatch struct {
	path     haproxy.PathPrefix
	foldCase bool
}

// everything reports whether every path matches, so that none of it can be
// rewritten.
func (p pathMatch) everything() bool { return p.path == "" }

func parsePath(value string) (haproxy.PathPrefix, error) {
	path, err := haproxy.ParsePathPrefix(value)
	if err != nil {
		err = fmt.Errorf("%s is not a path: %w", quote(value), err)
	}
	return path, err
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
			path = haproxy.PathPrefix(strings.ToLower(string(path)))
		}
		matches[i] = pathMatch{path: path, foldCase: foldCase && path != ""}
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
		return haproxy.Rewrite(cmp.Or(path, "/")), nil
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
	switch {
	case err != nil:
		return "", err
	case path != "" && !strings.HasSuffix(value, "/"):
		return string(path), nil
	case len(path) == haproxy.MaxPath:
		return "", fmt.Errorf("%s is not a path: it has more than %d characters", quote(value), haproxy.MaxPath)
	}
	return string(path) + "/", nil
}
