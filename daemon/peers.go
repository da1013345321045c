// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"os"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// localPeer is the name by which HAProxy looks for itself among the edge nodes.
type localPeer struct {
	name  string
	asked bool // HAProxy said so; else it is the host's, which it takes where it is told no other
}

// hostPeer is what can be known where HAProxy cannot be asked.
func hostPeer() localPeer {
	name, _ := os.Hostname() // without one it is no node
	return localPeer{name: name}
}

// askPeer asks HAProxy by which name it goes.
func askPeer(ctx context.Context, c *runtime.Client) localPeer {
	if name, err := c.LocalPeer(ctx); err == nil && name != "" {
		return localPeer{name, true}
	}
	return hostPeer()
}

// findLocal looks whether HAProxy finds itself among nodes, and tells when that
// begins to be otherwise, and when it ends. A HAProxy is asked for its name once.
func (e *edge) findLocal(ctx context.Context, nodes []haproxy.Peer) {
	reason := ""
	if len(nodes) > 0 {
		if e.localOf != e.process.Pid {
			e.local, e.localOf = askPeer(ctx, e.runtime), e.process.Pid
		}
		if _, err := (&config.Peers{Nodes: nodes}).Find(e.local.name); err != nil {
			reason = err.Error()
		}
	}
	switch began, ended := e.noPeers.Set(reason); {
	case began:
		e.log.Warn("HAProxy is none of its peers", "reason", reason)
	case ended:
		e.log.Info("HAProxy is one of its peers again, or has none")
	}
}

// CheckPeers says why this host would share nothing with the other nodes that c
// names, as far as that can be known without HAProxy.
func CheckPeers(c *config.Config) error {
	if len(c.Peers.Nodes) == 0 {
		return nil
	}
	if _, err := c.Peers.Find(hostPeer().name); err != nil {
		return fmt.Errorf("peers.nodes: on this host: %w (but where -L or localpeer gives it one of these names)", err)
	}
	return nil
}
