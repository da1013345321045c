// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// The fields of a value of a routes map, "BACKEND|RANK|PATH|NEW", counted from 1 as
// HAProxy's converter "field" does. PATH and NEW are present only if the path is
// rewritten: PATH without NEW is removed, PATH with NEW is replaced by it.
const (
	BackendField = 1 + iota // after Redirect.Prefix if clients are redirected
	RankField               // of the matches in the plain and the case-folded map, the higher rank wins
	PathField
	NewPathField
)

// routeRank is the difference in rank between an exact host, a wildcard and every
// host. It is larger than the length of any path.
const routeRank = 10_000

// TerminateHere is the value in PassthroughMap of a host whose TLS is ended here
// although that of its wildcard is passed through.
const TerminateHere = "!terminate"

// RedirectPrefix is how every Redirect.Prefix begins.
const RedirectPrefix = "!https"

// Prefix is the text before the backend in a routes map: "!https:".
func (r Redirect) Prefix() string { return "!" + string(r) + ":" }

// routesMap is the name of the map that contains the route.
func (r Route) routesMap() string {
	switch {
	case r.Passthrough:
		return PassthroughMap
	case r.TLS && r.FoldCase:
		return FoldedTLSRoutesMap
	case r.TLS:
		return TLSRoutesMap
	case r.FoldCase:
		return FoldedRoutesMap
	}
	return RoutesMap
}

// isRoutesMap reports whether the entries of a map name backends.
func isRoutesMap(name string) bool {
	switch name {
	case RoutesMap, FoldedRoutesMap, TLSRoutesMap, FoldedTLSRoutesMap, PassthroughMap, ExactRoutesMap, ExactTLSRoutesMap:
		return true
	}
	return false
}

// HoldsValues reports whether the map holds values of backends, and leads no request to a
// backend.
func (m Map) HoldsValues() bool {
	switch m.Name {
	case SparesMap, CookiesMap, HSTSMap, TimeoutsMap, TunnelTimeoutsMap, NodeMap, ListenersMap:
		return true
	}
	return false
}

// LeadsTo reports whether an entry of the map leads to the named backend. An entry that
// leads to a rule may lead to every backend.
func (m Map) LeadsTo(backend string) bool {
	if m.Name == RulesMap {
		return slices.ContainsFunc(m.Entries, func(e MapEntry) bool { return slices.Contains(ruleBackends(e.Value), backend) })
	}
	return !m.HoldsValues() && slices.ContainsFunc(m.Entries, func(e MapEntry) bool {
		return e.isRule() || e.isBucket() || e.backend() == backend
	})
}

// entry is the line of the route in its map: "host/path/" and the fields, or "host"
// and the backend for a Passthrough.
func (r Route) entry() MapEntry {
	if r.Passthrough {
		return MapEntry{Key: string(r.Host), Value: r.Backend}
	}
	target := r.Backend
	if r.Redirect != "" {
		target = r.Redirect.Prefix() + r.Backend
	}
	value := target + "|" + strconv.Itoa(r.Host.rank()*routeRank+len(r.Path))
	switch {
	case r.Rewrite == "" || r.Path == "":
	case r.Rewrite == "/":
		value += "|" + string(r.Path)
	default:
		value += "|" + string(r.Path) + "|" + string(r.Rewrite)
	}
	return MapEntry{Key: string(cmp.Or(r.Host, "*")) + string(r.Path) + "/", Value: value}
}

// backend is the name of the backend in an entry of a routes map.
func (e MapEntry) backend() string {
	target, _, _ := strings.Cut(e.Value, "|")
	_, backend := cutRedirect(target)
	return backend
}

// cutRedirect splits the first field of a routes map.
func cutRedirect(target string) (Redirect, string) {
	for _, r := range []Redirect{ToHTTPS, ToHTTPSAlone} {
		if backend, ok := strings.CutPrefix(target, r.Prefix()); ok {
			return r, backend
		}
	}
	return "", target
}

// parseRoute is the inverse of entry and routesMap. It returns false for an entry that
// they do not make.
func parseRoute(name string, e MapEntry) (Route, bool) {
	if e.isHeld() {
		return Route{}, false
	}
	if name == PassthroughMap {
		return Route{TLS: true, Host: HostPattern(e.Key), Backend: e.Value, Passthrough: true}, e.Value != TerminateHere
	}
	host, path, ok := strings.Cut(e.Key, "/")
	fields := strings.Split(e.Value, "|")
	if !ok || host == "" || path != "" && !strings.HasSuffix(path, "/") || len(fields) < RankField {
		return Route{}, false
	}
	r := Route{
		TLS:      name == TLSRoutesMap || name == FoldedTLSRoutesMap,
		FoldCase: name == FoldedRoutesMap || name == FoldedTLSRoutesMap,
		Host:     HostPattern(host),
		Path:     PathPrefix(strings.TrimSuffix("/"+path, "/")),
	}
	r.fill(fields)
	if namespace, within := strings.CutPrefix(host, withinMark); within {
		r.Host, r.Namespace = "", namespace
	}
	if host == "*" {
		r.Host = ""
	}
	return r, true
}

// fill sets what the fields of a value of a routes map contain.
func (r *Route) fill(fields []string) {
	r.Redirect, r.Backend = cutRedirect(fields[BackendField-1])
	switch {
	case len(fields) >= NewPathField:
		r.Rewrite = Rewrite(fields[NewPathField-1])
	case len(fields) >= PathField:
		r.Rewrite = "/"
	}
}

// ParseRoutes returns the Routes that State.Maps made entries of, sorted. Other
// entries are skipped.
func ParseRoutes(maps []Map) []Route {
	var routes []Route
	rules := indexRules(maps)
	for _, m := range maps {
		if !isRoutesMap(m.Name) {
			continue
		}
		for _, e := range m.Entries {
			if at, own, ok := placeOf(m.Name, e); ok && m.Name != PassthroughMap && (at.Listener.IsValid() || at.Exact || e.isRule() || e.isBucket()) {
				routes = append(routes, rules.ofValue(at, m.Name, own)...)
				continue
			}
			if r, ok := parseRoute(m.Name, e); ok {
				routes = append(routes, r)
			}
		}
	}
	// A Route without a Host may be in a map twice, the second time for its Namespace.
	slices.SortFunc(routes, func(a, b Route) int { return cmp.Or(a.Compare(b), cmp.Compare(b.Namespace, a.Namespace)) })
	return slices.CompactFunc(routes, func(a, b Route) bool { return a.Compare(b) == 0 })
}
