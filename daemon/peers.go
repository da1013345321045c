// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"

	"podgate/daemon/config"
	"podgate/daemon/reconcile"
	"podgate/haproxy"
)

// CheckPeers says why this host would share nothing with the other nodes that c
// names, as far as that can be known without HAProxy.
func CheckPeers(c *config.Config) error {
	if len(c.Peers.Nodes) == 0 {
		return nil
	}
	if _, err := haproxy.FindPeer(c.Peers.Nodes, reconcile.HostPeer().Name); err != nil {
		return fmt.Errorf("peers.nodes: on this host: %w (but where -L or localpeer gives it one of these names)", err)
	}
	return nil
}
