// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// The maps that our frontends and defaults sections look things up in. The
// name is the file's, without its folder and ".map".
const (
	// RoutesMap leads "host/path/" to a Backend, by the longest prefix.
	RoutesMap = "routes"
	// FoldedRoutesMap is the same for the lower-cased path.
	FoldedRoutesMap = "routes-folded"
	// TLSRoutesMap and FoldedTLSRoutesMap are the same for the TLS frontend.
	TLSRoutesMap       = "routes-tls"
	FoldedTLSRoutesMap = "routes-tls-folded"
	// PassthroughMap leads the name that a TLS client asks for to a Backend, or
	// to TerminateHere.
	PassthroughMap = "passthrough"
	// HSTSMap gives the max-age of Strict-Transport-Security of a backend.
	HSTSMap = "hsts"
	// TimeoutsMap gives the server timeout of a backend, in milliseconds.
	TimeoutsMap = "timeouts"
	// NodeMap tells what a load balancer may know of the node: see Node.
	NodeMap = "node"
)

// MapNames lists the maps of ours.
func MapNames() []string {
	return []string{RoutesMap, FoldedRoutesMap, TLSRoutesMap, FoldedTLSRoutesMap, PassthroughMap, HSTSMap, TimeoutsMap, NodeMap}
}

// Map is the content of one map file.
type Map struct {
	Name    string
	Entries []MapEntry // by Key
}

// MapEntry is a line of a map. Key and Value hold no blanks.
type MapEntry struct{ Key, Value string }

// Maps returns what the maps hold in this State, in the order of MapNames.
func (s State) Maps() []Map {
	entries := map[string][]MapEntry{PassthroughMap: s.passthrough(), NodeMap: s.Node.entries()}
	add := func(name string, e MapEntry) { entries[name] = append(entries[name], e) }
	for _, r := range s.Routes {
		if !r.Passthrough {
			add(r.routesMap(), r.entry())
		}
	}
	for _, b := range s.Backends.All() {
		if b.Policy.Mode == HTTP && b.TimeoutServer != 0 {
			ms := b.TimeoutServer / time.Millisecond
			add(TimeoutsMap, MapEntry{b.Name, strconv.FormatInt(int64(ms), 10)})
		}
		if b.HSTS != "" {
			add(HSTSMap, MapEntry{b.Name, b.HSTS})
		}
	}
	names := MapNames()
	maps := make([]Map, len(names))
	for i, name := range names {
		maps[i] = Map{Name: name, Entries: entries[name]}
		slices.SortFunc(maps[i].Entries, compareKeys)
	}
	return maps
}

// passthrough are the entries of PassthroughMap.
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
	return entries
}

func compareKeys(a, b MapEntry) int { return cmp.Compare(a.Key, b.Key) }
