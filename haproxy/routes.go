// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"slices"
	"strings"
)

// RoutesOf reads the Routes back that State.Maps made entries of. Entries that
// are none of ours are left out.
func RoutesOf(maps []Map) []Route {
	var routes []Route
	for _, m := range maps {
		if !leadsToBackends(m.Name) {
			continue
		}
		for _, e := range m.Entries {
			if m.Name == PassthroughMap {
				if e.Value != TerminateHere {
					routes = append(routes, Route{TLS: true, Host: HostPattern(e.Key), Backend: e.Value, Passthrough: true})
				}
			} else if r, ok := parseRoute(e); ok {
				r.FoldCase = m.Name == FoldedRoutesMap || m.Name == FoldedTLSRoutesMap
				r.TLS = m.Name == TLSRoutesMap || m.Name == FoldedTLSRoutesMap
				routes = append(routes, r)
			}
		}
	}
	slices.SortFunc(routes, Route.Compare)
	return routes
}

// parseRoute is the inverse of Route.entry.
func parseRoute(e MapEntry) (Route, bool) {
	i := strings.IndexByte(e.Key, '/')
	words := strings.Split(e.Value, "|")
	if i <= 0 || !strings.HasSuffix(e.Key, "/") || len(words) < 2 {
		return Route{}, false
	}
	r := Route{Host: HostPattern(e.Key[:i]), Path: PathPrefix(strings.TrimSuffix(e.Key[i:], "/")), Backend: words[0]}
	if r.Host == "*" {
		r.Host = ""
	}
	r.Redirect, r.Backend = CutRedirect(r.Backend)
	switch len(words) {
	case 2:
	case 3:
		r.Rewrite = "/"
	default:
		r.Rewrite = Rewrite(words[3])
	}
	return r, true
}
