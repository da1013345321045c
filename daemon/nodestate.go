// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"io"
	"time"

	"podgate/daemon/confdir"
	"podgate/daemon/drain"
	"podgate/haproxy"
)

// nodeState returns the state of this node that its health checks show. It ends a drain
// that has expired.
func (d *Daemon) nodeState(ctx context.Context) haproxy.Node {
	file, draining := confdir.Dir(d.Config.HAProxy.Folder).ReadDrain()
	if draining && file.Expired(time.Now()) {
		draining, d.draining = false, true
		if err := drain.End(ctx, d.Config, io.Discard); err != nil {
			d.Log.Error("drain expired, and health checks still fail: run podgate undrain", "err", err)
		}
	}
	switch {
	case draining && !d.draining:
		d.Log.Info("draining, health checks fail", "since", file.Since)
	case !draining && d.draining:
		d.Log.Info("drain is over")
	}
	d.draining = draining
	return haproxy.Node{Served: true, Draining: draining}
}
