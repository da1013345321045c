// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"os"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// LocalPeer is the name by which HAProxy finds itself among the peers.
type LocalPeer struct {
	Name  string
	Asked bool // HAProxy returned the name; if not, it is the host name, which is HAProxy's default
	pid   int  // of the process that was asked; zero for none
}

// HostPeer returns the LocalPeer of a HAProxy that does not answer.
func HostPeer() LocalPeer {
	name, _ := os.Hostname() // a HAProxy without a name is no peer
	return LocalPeer{Name: name}
}

// AskPeer asks HAProxy for its LocalPeer. It returns HostPeer if HAProxy does not
// answer.
func AskPeer(ctx context.Context, c *runtime.Client) LocalPeer {
	if name, err := c.LocalPeer(ctx); err == nil && name != "" {
		return LocalPeer{Name: name, Asked: true}
	}
	return HostPeer()
}

// findPeer checks whether HAProxy finds itself among the peers, and logs when it begins
// to be missing, and when that ends. It asks each process once.
func (r *Reconciler) findPeer(ctx context.Context, peers []haproxy.Peer) {
	reason := ""
	if len(peers) > 0 {
		if r.local.pid != r.process.Pid {
			r.local = AskPeer(ctx, r.runtime)
			r.local.pid = r.process.Pid
		}
		if _, err := haproxy.FindPeer(peers, r.local.Name); err != nil {
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
