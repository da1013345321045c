// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Request is the part of a request that decides which Route it takes.
type Request struct {
	TLS  bool
	Host string // the host of a URL, the Host header, or the host name that a TLS client sends (SNI)
	Path string // without query; "" for "OPTIONS *", which only routes without a path match
	// To is the address that the client connected to. The zero value means one that is no
	// Listener of any Route.
	To      netip.AddrPort
	Method  string   // "" means GET
	Query   string   // of the URL, without "?", as the client sent it
	Headers []Header // without Host
}

// byPrecedence orders Routes that match the same request: an exact Host precedes a
// wildcard, which precedes every host; then an Exact path is first, then the longest
// Path, then a case-sensitive one, then the lowest Order. HAProxy orders them the same
// way, by the order of Request.Lookups and the field RankField of a map value.
func byPrecedence(a, b Route) int {
	return cmp.Or(
		cmp.Compare(b.Host.rank(), a.Host.rank()),
		cmp.Compare(len(b.Host), len(a.Host)),
		compareBool(b.Exact, a.Exact),
		cmp.Compare(len(b.Path), len(a.Path)),
		compareBool(a.FoldCase, b.FoldCase),
		cmp.Compare(a.Order, b.Order),
	)
}

// ComparePrecedence orders Routes that match the same request by the precedence of their
// Hosts and Paths. It ignores Order.
func (r Route) ComparePrecedence(o Route) int {
	r.Order, o.Order = 0, 0
	return byPrecedence(r, o)
}

// Match returns the Routes that match a request, by precedence: HAProxy uses the
// first. If TLS of the host is passed through, it returns that Route only.
func (s State) Match(r Request) []Route {
	host := CanonicalHost(r.Host)
	if through, ok := s.passesThrough(host); r.TLS && ok {
		return []Route{through}
	}
	candidates := s.Candidates(r)
	return slices.DeleteFunc(candidates, func(route Route) bool { return !route.Conditions.Met(r) })
}

// Candidates returns the Routes whose Listener, Host and Path match a request, by
// precedence, whether it meets their Conditions or not.
func (s State) Candidates(r Request) []Route {
	host := CanonicalHost(r.Host)
	listener := netip.AddrPort{}
	if slices.ContainsFunc(s.Routes, func(route Route) bool { return route.Listener == r.To }) {
		listener = r.To
	}
	path := NormalizePath(r.Path)
	lookups, within := s.confine(host)
	if listener.IsValid() {
		lookups, within = host.Patterns(), HeldHost{}
	}
	folded := strings.ToLower(path)
	var found []Route
	for _, route := range s.Routes {
		if route.TLS != r.TLS || route.Listener != listener || route.Passthrough || !slices.Contains(lookups, route.Host) {
			continue
		}
		if route.Host == "" && within.Host != "" && !within.EveryPath && route.Namespace != within.Namespace {
			continue
		}
		if route.matchesPath(path, folded) {
			found = append(found, route)
		}
	}
	slices.SortStableFunc(found, byPrecedence)
	return found
}

// matchesPath compares a path, and the same path in lower case.
func (r Route) matchesPath(path, folded string) bool {
	if r.Exact {
		return path == string(r.Path)
	}
	return r.Path.Matches(path) || r.FoldCase && r.Path.Matches(folded)
}

// passesThrough returns the Route that passes TLS of the host through. A host for
// which the TLS frontend has a Route is not passed through, even if its wildcard is,
// nor is a host that another namespace holds.
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
	if h, ok := s.held(host); ok && s.closesZone(h) {
		return Route{}, false
	}
	return wild, wild.Passthrough
}

// Lookup is one lookup in a map.
type Lookup struct {
	Map   string   // one of MapNames
	Key   string   // the key to look up
	Found MapEntry // the matching entry; the zero value if no entry matches
}

// Lookups returns the lookups that can find the Route of a request. A frontend skips those
// whose result Choose would not choose.
func (r Request) Lookups() []Lookup {
	hosts := CanonicalHost(r.Host).Lookups()
	var all []Lookup
	add := func(name, path string) {
		for _, host := range hosts {
			all = append(all, Lookup{Map: name, Key: string(cmp.Or(host, "*")) + path})
		}
	}
	plain, folded := RoutesMap, FoldedRoutesMap
	if r.TLS {
		plain, folded = TLSRoutesMap, FoldedTLSRoutesMap
		for _, host := range hosts[:len(hosts)-1] {
			all = append(all, Lookup{Map: PassthroughMap, Key: string(host)})
		}
	}
	path := NormalizePath(r.Path)
	add(plain, path+"/")
	add(folded, strings.ToLower(path)+"/")
	return all
}

// Choose returns the lookup that a frontend follows, and its Route. It returns false
// if no lookup found a Route.
func Choose(lookups []Lookup) (chosen Lookup, route Route, ok bool) {
	decided := false
	for _, l := range lookups {
		if l.Found.Key == "" {
			continue
		}
		r, isRoute := parseRoute(l.Map, l.Found)
		switch {
		case l.Map == PassthroughMap && !decided:
			if decided = true; isRoute {
				return l, r, true
			}
		case l.Map != PassthroughMap && isRoute && (!ok || byPrecedence(r, route) < 0):
			chosen, route, ok = l, r, true
		}
	}
	return chosen, route, ok
}
