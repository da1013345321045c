// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"slices"
	"strings"
)

// Match returns the Routes that a request fits, the one that HAProxy takes
// first: an exact Host before a wildcard before none, then the longest Path,
// then the one that minds case. Of a host whose TLS is passed through that is the
// only one. Host is as a client sends it, with or without its port, and what it
// asks for in TLS; path is without a query.
func (s State) Match(tls bool, host, path string) []Route {
	host = CanonicalHost(host)
	zone := ""
	if _, rest, ok := strings.Cut(host, "."); ok {
		zone = "*." + rest
	}
	if through, ok := s.passesThrough(host, zone); tls && ok {
		return []Route{through}
	}
	plain := path + "/"
	folded := strings.ToLower(plain)
	var found []Route
	for _, r := range s.Routes {
		if r.TLS != tls || r.Passthrough || r.Host != "" && r.Host != host && r.Host != zone {
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

// passesThrough finds the Route by which the TLS of a host is passed through. One
// whose own TLS is ended is not, whatever its wildcard says.
func (s State) passesThrough(host, zone string) (Route, bool) {
	var wild Route
	for _, r := range s.Routes {
		switch {
		case !r.TLS || r.Host == "":
		case r.Host == host:
			return r, r.Passthrough
		case r.Host == zone && r.Passthrough:
			wild = r
		}
	}
	return wild, wild.Passthrough
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
