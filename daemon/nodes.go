// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"

	"podgate/daemon/config"
	"podgate/kubeapi"
)

// nodesByDefault reports whether Nodes are needed whatever the Services say.
func nodesByDefault(c *config.Config) bool { return c.Upstream.Mode == config.UpstreamNodePort }

// followNodes begins to follow Nodes when the first Service needs them: nobody
// asks the cluster for what is not used. Until the Snapshot that has them, the
// Service's servers stay as they are.
func (d *Daemon) followNodes(ctx context.Context, snapshots chan *kubeapi.Snapshot) {
	if d.follow.nodes || d.result == nil || !d.result.NeedsNodes() {
		return
	}
	f, err := newFollower(d.Config.Kubernetes, true, userAgent(d.Version), d.Log)
	if err != nil {
		d.Log.Error("nodes cannot be followed", "err", err)
		return
	}
	d.Log.Info("nodes are followed too, a Service is reached by node ports")
	d.followBy(ctx, f, snapshots)
}
