// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"slices"
	"strconv"
	"strings"
)

// isPreflight reports whether a request is a preflight request (Fetch standard).
func (r Request) isPreflight() bool {
	return r.Method == "OPTIONS" && r.header("origin") != "" && r.header("access-control-request-method") != ""
}

// header returns the first value of a header, "" if it is missing.
func (r Request) header(name string) string {
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// headers returns the headers that the answer to a request has; nil if its origin is not
// allowed. With credentials, "*" is not valid in them: the answer has the values of the
// request instead.
func (c CORS) headers(r Request) []Header {
	origin := r.header("origin")
	if origin == "" || !slices.ContainsFunc(c.Origins, func(pattern string) bool { return matchesOrigin(pattern, origin) }) {
		return nil
	}
	list := func(items []string, requested string) string {
		if !slices.Contains(items, "*") {
			return strings.Join(items, ",")
		}
		if c.Credentials {
			return requested
		}
		return "*"
	}
	var all []Header
	add := func(name, value string) {
		if value != "" {
			all = append(all, Header{name, value})
		}
	}
	if slices.Contains(c.Origins, "*") && !c.Credentials {
		origin = "*"
	}
	add("access-control-allow-origin", origin)
	if c.Credentials {
		add("access-control-allow-credentials", "true")
	}
	if !r.isPreflight() {
		add("access-control-expose-headers", list(c.Expose, ""))
		return all
	}
	add("access-control-allow-methods", list(c.Methods, r.header("access-control-request-method")))
	add("access-control-allow-headers", list(c.Headers, r.header("access-control-request-headers")))
	if c.MaxAge > 0 {
		add("access-control-max-age", strconv.Itoa(int(c.MaxAge.Seconds())))
	}
	return all
}

// matchesOrigin compares an origin with a pattern that can have one "*".
func matchesOrigin(pattern, origin string) bool {
	before, after, wildcard := strings.Cut(pattern, "*")
	if !wildcard {
		return pattern == origin
	}
	return len(origin) > len(before)+len(after) && strings.HasPrefix(origin, before) && strings.HasSuffix(origin, after)
}
