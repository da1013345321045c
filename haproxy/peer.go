// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"fmt"
	"net/netip"
	"strings"
)

// Peer is an edge node that shares stick tables. HAProxy finds itself among the
// peers by its local peer name, which is the name of the host by default.
type Peer struct {
	Name string
	Addr netip.AddrPort
}

// FindPeer returns the peer with HAProxy's local peer name. The error lists the peers
// and the consequence for a HAProxy that is not one of them.
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
