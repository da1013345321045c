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
	asked := CanonicalHost(host)
	if through, ok := s.passesThrough(asked); tls && ok {
		return []Route{through}
	}
	lookups, folded := asked.Lookups(), strings.ToLower(path)
	var found []Route
	for _, r := range s.Routes {
		if r.TLS != tls || r.Passthrough || !slices.Contains(lookups, r.Host) {
			continue
		}
		if r.Path.Matches(path) || r.FoldCase && r.Path.Matches(folded) {
			found = append(found, r)
		}
	}
	slices.SortStableFunc(found, func(a, b Route) int {
		return cmp.Or(
			cmp.Compare(b.Host.rank(), a.Host.rank()),
			cmp.Compare(len(b.Path), len(a.Path)),
			compareBool(a.FoldCase, b.FoldCase),
		)
	})
	return found
}

// passesThrough finds the Route by which the TLS of a host is passed through. One
// whose own TLS is ended is not, whatever its wildcard says.
func (s State) passesThrough(host HostPattern) (Route, bool) {
	var wild Route
	for _, r := range s.Routes {
		switch {
		case !r.TLS || r.Host == "":
		case r.Host == host:
			return r, r.Passthrough
		case r.Host == host.Wildcard() && r.Passthrough:
			wild = r
		}
	}
	return wild, wild.Passthrough
}
