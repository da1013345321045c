// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"cmp"
	"fmt"
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
	// TimeoutsMap gives the server timeout of a backend, in milliseconds.
	TimeoutsMap = "timeouts"
	// NodeMap tells what a load balancer may know of the node: see Node.
	NodeMap = "node"
)

// MapNames lists the maps of ours.
func MapNames() []string { return []string{RoutesMap, FoldedRoutesMap, TimeoutsMap, NodeMap} }

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
	routes, folded, timeouts := Map{Name: RoutesMap}, Map{Name: FoldedRoutesMap}, Map{Name: TimeoutsMap}
	for _, r := range s.Routes {
		switch {
		case r.TLS: // no frontend looks these up yet
		case r.FoldCase:
			folded.Entries = append(folded.Entries, r.entry())
		default:
			routes.Entries = append(routes.Entries, r.entry())
		}
	}
	for _, b := range s.Backends {
		if b.Policy.Mode == HTTP && b.TimeoutServer != 0 {
			ms := b.TimeoutServer / time.Millisecond
			timeouts.Entries = append(timeouts.Entries, MapEntry{b.Name, fmt.Sprint(int64(ms))})
		}
	}
	maps := []Map{routes, folded, timeouts, s.Node.Map()}
	for _, m := range maps {
		slices.SortFunc(m.Entries, compareKeys)
	}
	return maps
}

// entry is the route as a line of a map: "host/path/" and
// "backend|rank|path|new", where path and new stand only if the path is
// rewritten: path alone is taken away, with new it is replaced.
func (r Route) entry() MapEntry {
	host, rank := r.Host, 2*routeRank
	switch {
	case host == "":
		host, rank = "*", 0
	case strings.HasPrefix(host, "*."):
		rank = routeRank
	}
	value := r.Backend + "|" + strconv.Itoa(rank+len(r.Path))
	switch {
	case r.Rewrite == "" || r.Path == "":
	case r.Rewrite == "/":
		value += "|" + r.Path
	default:
		value += "|" + r.Path + "|" + string(r.Rewrite)
	}
	return MapEntry{Key: host + r.Path + "/", Value: value}
}

// backend is where an entry of a routes map leads.
func (e MapEntry) backend() string {
	name, _, _ := strings.Cut(e.Value, "|")
	return name
}

func compareKeys(a, b MapEntry) int { return cmp.Compare(a.Key, b.Key) }
