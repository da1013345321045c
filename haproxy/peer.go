// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"fmt"
	"net/netip"
	"strings"
)

// Peer is an edge node. HAProxy knows itself by the host's name.
type Peer struct {
	Name string
	Addr netip.AddrPort
}

// FindPeer returns the peer of that name, by which HAProxy knows itself. The
// error names the peers, and what becomes of a HAProxy that is not one of them.
func FindPeer(peers []Peer, name string) (Peer, error) {
	var names []string
	for _, p := range peers {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	const most = 4
	if more := len(names) - most; more > 0 {
		names = append(names[:most], fmt.Sprintf("%d more", more))
	}
	return Peer{}, fmt.Errorf("%q is not one of %s; stick tables are not shared", name, strings.Join(names, ", "))
}
