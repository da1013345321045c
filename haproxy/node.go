// SPDX-License-Identifier: Apache-2.0

package haproxy

import "net/netip"

// Node is the state of this edge node for load balancers in front. HAProxy holds it
// in NodeMap and answers health checks by it while podgate is down. The zero Node
// has never been in sync with the cluster.
type Node struct {
	Served   bool // HAProxy has been in sync with the cluster at least once
	Draining bool // load balancers should send clients to other nodes
}

// Health is how a frontend answers the health checks of a load balancer: 200 while
// the Node has served and does not drain, else 503. The path "PATH/BACKEND" requires
// a usable server of that Backend in addition.
type Health struct {
	Path    string         // "/healthz"
	Sources []netip.Prefix // clients that may connect, sorted; empty allows all
	Proxy   bool           // checks begin with a PROXY header
}

// The keys of NodeMap.
const (
	NodeServed   = "served"
	NodeDraining = "draining"
)

// entries returns the lines of NodeMap.
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

// Map returns the NodeMap.
func (n Node) Map() Map { return Map{Name: NodeMap, Entries: n.entries()} }

// ParseNode is the inverse of Node.Map. It ignores unknown keys.
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
func (f Frontend) routes() bool { return f.Mode == HTTP && f.Health == nil && f.Stats == nil }
