// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"os"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// LocalPeer is the name by which HAProxy looks for itself among the edge nodes.
type LocalPeer struct {
	Name  string
	Asked bool // HAProxy said so; else it is the host's, which it takes where it is told no other
}

// HostPeer is what can be known where HAProxy cannot be asked.
func HostPeer() LocalPeer {
	name, _ := os.Hostname() // without one it is no node
	return LocalPeer{Name: name}
}

// AskPeer asks HAProxy by which name it goes.
func AskPeer(ctx context.Context, c *runtime.Client) LocalPeer {
	if name, err := c.LocalPeer(ctx); err == nil && name != "" {
		return LocalPeer{name, true}
	}
	return HostPeer()
}

// findLocal looks whether HAProxy finds itself among nodes, and tells when that
// begins to be otherwise, and when it ends. A HAProxy is asked for its name once.
func (r *Reconciler) findLocal(ctx context.Context, nodes []haproxy.Peer) {
	reason := ""
	if len(nodes) > 0 {
		if r.localOf != r.process.Pid {
			r.local, r.localOf = AskPeer(ctx, r.runtime), r.process.Pid
		}
		if _, err := haproxy.FindPeer(nodes, r.local.Name); err != nil {
			reason = err.Error()
		}
	}
	switch began, ended := r.noPeers.Set(reason); {
	case began:
		r.log.Warn("this node is not listed in peers.nodes", "reason", reason)
	case ended:
		r.log.Info("this node is listed in peers.nodes again, or the list is empty")
	}
}
