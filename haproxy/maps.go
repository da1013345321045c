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
	// CookiesMap holds the name of the cookie of a backend. It is the first map to be
	// replaced, so that no route leads to a backend without its cookie.
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
	return []string{CookiesMap, RoutesMap, FoldedRoutesMap, TLSRoutesMap, FoldedTLSRoutesMap, PassthroughMap, HSTSMap, TimeoutsMap, TunnelTimeoutsMap, NodeMap}
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
	entries := map[string][]MapEntry{PassthroughMap: s.passthrough(), NodeMap: s.Node.entries()}
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
			addDuration(TimeoutsMap, b.Name, b.TimeoutServer)
			addDuration(TunnelTimeoutsMap, b.Name, b.TimeoutTunnel)
		}
		if b.Cookie != (Cookie{}) {
			add(CookiesMap, MapEntry{b.Name, b.Cookie.String()})
		}
		if b.HSTS != "" {
			add(HSTSMap, MapEntry{b.Name, b.HSTS})
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
