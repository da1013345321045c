// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"fmt"
	"strings"

	"podgate/haproxy"
)

// pathMatch is the path prefix of a route.
type pathMatch struct {
	path     haproxy.PathPrefix
	foldCase bool
}

// everything reports whether every path matches, so that a rewrite has no effect.
func (p pathMatch) everything() bool { return p.path == "" }

func parsePath(value string) (haproxy.PathPrefix, error) {
	path, err := haproxy.ParsePathPrefix(value)
	if err != nil {
		err = fmt.Errorf("%s is not a path: %w", quote(value), err)
	}
	return path, err
}

// parseACLMatch accepts what service-loadbalancer added to "path_beg": prefixes
// separated by blanks, after "-i" in any case.
func parseACLMatch(value string) ([]pathMatch, error) {
	fields := strings.FieldsFunc(value, isBlank)
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

// parseRewrite accepts a bool, or the path that replaces the matched prefix.
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

// parseCheckPath accepts the path of an HTTP health check, including "/".
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
