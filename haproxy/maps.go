// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// The names of the maps that podgate's frontends and defaults sections use. The name
// is that of the file, without its folder and ".map".
const (
	// SparesMap holds the backend that has taken a spare, and the spare of that backend. It
	// is the first map to be replaced, so that nothing is in a spare whose owner is unknown.
	SparesMap = "spares"
	// CookiesMap holds the name of the cookie of a backend. It is replaced before the maps
	// of routes, so that no route leads to a backend without its cookie.
	CookiesMap = "cookies"
	// RoutesMap leads "host/path/" to a Backend, by the longest prefix.
	RoutesMap = "routes"
	// FoldedRoutesMap is RoutesMap for the path in lower case.
	FoldedRoutesMap = "routes-folded"
	// TLSRoutesMap and FoldedTLSRoutesMap are the maps of the TLS frontend.
	TLSRoutesMap       = "routes-tls"
	FoldedTLSRoutesMap = "routes-tls-folded"
	// PassthroughMap leads the host name that a TLS client sends (SNI) to a Backend,
	// or to TerminateHere.
	PassthroughMap = "passthrough"
	// HSTSMap holds the max-age of Strict-Transport-Security of a backend.
	HSTSMap = "hsts"
	// TimeoutsMap holds the server timeout of a backend, in milliseconds.
	TimeoutsMap = "timeouts"
	// TunnelTimeoutsMap holds the tunnel timeout of a backend, in milliseconds.
	TunnelTimeoutsMap = "timeouts-tunnel"
	// NodeMap holds the Node, which load balancers query.
	NodeMap = "node"
)

// MapNames lists podgate's maps, except for RuleMapNames.
func MapNames() []string {
	return []string{SparesMap, CookiesMap, RoutesMap, FoldedRoutesMap, TLSRoutesMap, FoldedTLSRoutesMap, PassthroughMap, HSTSMap, TimeoutsMap, TunnelTimeoutsMap, NodeMap}
}

// Map is the content of one map file.
type Map struct {
	Name    string
	Entries []MapEntry // by Key, unless the map is Ordered
}

// MapEntry is a line of a map. Key and Value hold no blanks.
type MapEntry struct{ Key, Value string }

// Maps returns the maps of this State, in the order of State.MapNames.
func (s State) Maps() []Map {
	s.Routes = s.routesInSpares()
	entries := map[string][]MapEntry{SparesMap: s.spareEntries(), PassthroughMap: s.passthrough(), NodeMap: s.Node.entries()}
	add := func(name string, e MapEntry) { entries[name] = append(entries[name], e) }
	addDuration := func(name, backend string, d time.Duration) {
		if d != 0 {
			add(name, MapEntry{backend, strconv.FormatInt(d.Milliseconds(), 10)})
		}
	}
	if s.Settings.Rules {
		s.programMaps(add)
	} else {
		for _, r := range s.Routes {
			if !r.Passthrough {
				add(r.routesMap(), r.entry())
			}
		}
		s.heldEntries(add)
	}
	for _, b := range s.Backends.All() {
		if b.Policy.Mode == HTTP {
			addDuration(TimeoutsMap, b.ProxyName(), b.TimeoutServer)
			addDuration(TunnelTimeoutsMap, b.ProxyName(), b.TimeoutTunnel)
		}
		if b.Cookie != (Cookie{}) {
			add(CookiesMap, MapEntry{b.ProxyName(), b.Cookie.String()})
		}
		if b.HSTS != "" {
			add(HSTSMap, MapEntry{b.ProxyName(), b.HSTS})
		}
	}
	names := s.MapNames()
	maps := make([]Map, len(names))
	for i, name := range names {
		maps[i] = Map{Name: name, Entries: entries[name]}
		if !maps[i].Ordered() {
			slices.SortFunc(maps[i].Entries, compareKeys)
		}
	}
	return maps
}

// routesInSpares returns the Routes with the names of the backends in HAProxy.
func (s State) routesInSpares() []Route {
	names := s.SpareNames()
	if len(names) == 0 {
		return s.Routes
	}
	spares := make(map[string]string, len(names))
	for spare, name := range names {
		spares[name] = spare
	}
	return renameBackends(s.Routes, func(name string) string { return cmp.Or(spares[name], name) })
}

// renameBackends returns routes that lead to backends with other names.
func renameBackends(routes []Route, rename func(string) string) []Route {
	renamed := slices.Clone(routes)
	for i, r := range renamed {
		renamed[i].Backend = rename(r.Backend)
		if r.Actions == nil || !slices.ContainsFunc(r.Actions.Targets, func(t Target) bool { return rename(t.Backend) != t.Backend }) {
			continue
		}
		actions := *r.Actions
		actions.Targets = slices.Clone(actions.Targets)
		for j, t := range actions.Targets {
			actions.Targets[j].Backend = rename(t.Backend)
		}
		renamed[i].Actions = &actions
	}
	return renamed
}

// passthrough returns the entries of PassthroughMap.
func (s State) passthrough() []MapEntry {
	passed := map[HostPattern]bool{}
	var entries []MapEntry
	for _, r := range s.Routes {
		if r.Passthrough {
			passed[r.Host] = true
			entries = append(entries, r.entry())
		}
	}
	for _, r := range s.Routes {
		if r.TLS && passed[r.Host.Wildcard()] && !passed[r.Host] {
			passed[r.Host] = true
			entries = append(entries, MapEntry{string(r.Host), TerminateHere})
		}
	}
	for _, h := range s.HeldHosts {
		if h.Host.rank() == exactRank && passed[h.Host.Wildcard()] && !passed[h.Host] && s.closesZone(h) {
			entries = append(entries, MapEntry{string(h.Host), TerminateHere})
		}
	}
	return entries
}

func compareKeys(a, b MapEntry) int { return cmp.Compare(a.Key, b.Key) }
