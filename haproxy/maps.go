// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
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

// TerminateHere stands in PassthroughMap for a host below a wildcard that is
// passed through, while its own TLS is ended here.
const TerminateHere = "!terminate"

// RedirectPrefix begins what stands in a routes map before a backend where the
// client is sent to the same address in https, where that is.
const RedirectPrefix = "!https"

// Prefix is what stands before the backend in a routes map: "!https:".
func (r Redirect) Prefix() string { return "!" + string(r) + ":" }

// CutRedirect parts a backend of a routes map from what stands before it.
func CutRedirect(target string) (Redirect, string) {
	for _, r := range []Redirect{ToHTTPS, ToHTTPSAlone} {
		if backend, ok := strings.CutPrefix(target, r.Prefix()); ok {
			return r, backend
		}
	}
	return "", target
}

// Map is the content of one map file.
type Map struct {
	Name    string
	Entries []MapEntry // by Key
}

// MapEntry is a line of a map. Key and Value hold no blanks.
type MapEntry struct{ Key, Value string }

// routeRank puts an exact host before a wildcard before none, whatever the
// length of their paths.
const routeRank = 10_000

// Maps returns what the maps hold in this State, in the order of MapNames.
func (s State) Maps() []Map {
	entries := map[string][]MapEntry{PassthroughMap: s.passthrough(), NodeMap: s.Node.entries()}
	add := func(name string, e MapEntry) { entries[name] = append(entries[name], e) }
	for _, r := range s.Routes {
		if !r.Passthrough {
			add(r.mapName(), r.entry())
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

// mapName is the map that the route stands in.
func (r Route) mapName() string {
	switch {
	case r.TLS && r.FoldCase:
		return FoldedTLSRoutesMap
	case r.TLS:
		return TLSRoutesMap
	case r.FoldCase:
		return FoldedRoutesMap
	}
	return RoutesMap
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

// entry is the route as a line of a map: "host/path/" and
// "backend|rank|path|new", where path and new stand only if the path is
// rewritten: path alone is taken away, with new it is replaced. One that is
// passed through is "host" and "backend".
func (r Route) entry() MapEntry {
	if r.Passthrough {
		return MapEntry{Key: string(r.Host), Value: r.Backend}
	}
	host := cmp.Or(r.Host, "*")
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
	return MapEntry{Key: string(host) + string(r.Path) + "/", Value: value}
}

// backend is where an entry of a routes map leads.
func (e MapEntry) backend() string {
	target, _, _ := strings.Cut(e.Value, "|")
	_, name := CutRedirect(target)
	return name
}

func compareKeys(a, b MapEntry) int { return cmp.Compare(a.Key, b.Key) }
