// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"podgate/haproxy"
)

// Peers are the edge nodes that share their stick tables.
type Peers struct {
	Nodes []haproxy.Peer // by Name, including this node; empty for none
}

func (p *Peers) keys() []key {
	return []key{
		{"peers", "nodes", list(&p.Nodes, `list of "HOSTNAME=IPv4:PORT" and "HOSTNAME=[IPv6]:PORT"`, fromString(peer), printPeer, sortedPeers), immediately,
			"All edge nodes that share their stick tables, including this one, each by the name that hostname prints there; empty for none."},
	}
}

func peer(s string) (haproxy.Peer, error) {
	name, addr, ok := strings.Cut(s, "=")
	if !ok {
		return haproxy.Peer{}, fmt.Errorf(`%q is not a name and an address (write it like "edge1=10.0.0.1:10024")`, s)
	}
	if err := wordUpTo(name, "._-", 64); err != nil {
		return haproxy.Peer{}, fmt.Errorf("%q: %w", s, err)
	}
	b, err := bind(addr)
	if err == nil && b.Addr().IsUnspecified() {
		err = fmt.Errorf("%q has an unspecified address, which other nodes cannot reach", s)
	}
	return haproxy.Peer{Name: name, Addr: b}, err
}

func printPeer(p haproxy.Peer) string { return quote(p.Name + "=" + p.Addr.String()) }

// sortedPeers is a finish that rejects duplicate names, and sorts.
func sortedPeers(_ value, at []value, peers []haproxy.Peer) []haproxy.Peer {
	for i, p := range peers {
		if slices.ContainsFunc(peers[:i], func(o haproxy.Peer) bool { return o.Name == p.Name }) {
			at[i].reject("%q is already in the list", p.Name)
		}
	}
	slices.SortFunc(peers, func(a, b haproxy.Peer) int { return cmp.Compare(a.Name, b.Name) })
	return peers
}
