// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"slices"
	"strings"
)

// Match returns the Routes that a request fits, the one that HAProxy takes
// first: an exact Host before a wildcard before none, then the longest Path,
// then the one that minds case. Host is as a client sends it, with or without
// its port; path is without a query.
func (s State) Match(tls bool, host, path string) []Route {
	host = CanonicalHost(host)
	zone := ""
	if _, rest, ok := strings.Cut(host, "."); ok {
		zone = "*." + rest
	}
	plain := path + "/"
	folded := strings.ToLower(plain)
	var found []Route
	for _, r := range s.Routes {
		if r.TLS != tls || r.Host != "" && r.Host != host && r.Host != zone {
			continue
		}
		asked := plain
		if r.FoldCase {
			asked = folded
		}
		if strings.HasPrefix(asked, r.Path+"/") {
			found = append(found, r)
		}
	}
	slices.SortStableFunc(found, func(a, b Route) int {
		return cmp.Or(
			cmp.Compare(b.hostRank(), a.hostRank()),
			cmp.Compare(len(b.Path), len(a.Path)),
			compareBool(a.FoldCase, b.FoldCase),
		)
	})
	return found
}

// CanonicalHost is a Host header as routes name it: lower case, without port and
// without a dot at its end.
func CanonicalHost(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// hostRank is higher for a Host that says more.
func (r Route) hostRank() int {
	switch {
	case r.Host == "":
		return 0
	case strings.HasPrefix(r.Host, "*."):
		return 1
	}
	return 2
}
