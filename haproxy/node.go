// SPDX-License-Identifier: Apache-2.0

package haproxy

import "net/netip"

// Node is what a load balancer in front may know of this edge node. HAProxy
// holds it in NodeMap, so that it outlives us, and whoever restarts. The zero
// Node has never been in sync.
type Node struct {
	Served   bool // HAProxy has served what the cluster asks for
	Draining bool // clients are to go elsewhere
}

// Health says how a frontend answers the health checks of a load balancer: 200
// while the Node has served and does not drain, else 503. Below Path and a slash
// stands the name of a Backend, which then needs a usable server too.
type Health struct {
	Path    string         // "/healthz"
	Sources []netip.Prefix // who may ask, sorted; empty for everybody
	Proxy   bool           // checks begin with a PROXY header
}

// The keys of NodeMap.
const (
	NodeServed   = "served"
	NodeDraining = "draining"
)

// entries are the lines of NodeMap.
func (n Node) entries() []MapEntry {
	var entries []MapEntry
	if n.Draining {
		entries = append(entries, MapEntry{NodeDraining, "1"})
	}
	if n.Served {
		entries = append(entries, MapEntry{NodeServed, "1"})
	}
	return entries
}

// Map is what NodeMap holds.
func (n Node) Map() Map { return Map{Name: NodeMap, Entries: n.entries()} }

// ParseNode is the inverse of Node.Map. Keys that it does not know are left out.
func ParseNode(m Map) Node {
	var n Node
	for _, e := range m.Entries {
		switch e.Key {
		case NodeServed:
			n.Served = true
		case NodeDraining:
			n.Draining = true
		}
	}
	return n
}

// routes reports whether Routes lead through the frontend.
func (f Frontend) routes() bool { return f.Mode == HTTP && f.Health == nil }
