// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"podgate/daemon/compile"
	"podgate/daemon/confdir"
	"podgate/daemon/drain"
	"podgate/daemon/reconcile"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// drainInterval is how often the drain file is read while the cluster is not known.
const drainInterval = 2 * time.Second

// node is what the load balancer is to be told once HAProxy is in sync. It logs
// when a drain begins and ends, and ends one that is over by itself.
func (d *Daemon) node(ctx context.Context) haproxy.Node {
	at, draining := confdir.Dir(d.Config.HAProxy.Folder).ReadDrain()
	if draining && at.Expired() {
		draining, d.draining = false, true
		if err := drain.End(ctx, d.Config, io.Discard); err != nil {
			d.Log.Error("drain expired, and health checks still fail: run podgate undrain", "err", err)
		}
	}
	switch {
	case draining && !d.draining:
		d.Log.Info("draining, health checks fail", "since", at.Since)
	case !draining && d.draining:
		d.Log.Info("drain is over")
	}
	d.draining = draining
	return haproxy.Node{Served: true, Draining: draining}
}

// beforeCluster does what can be done while the cluster is not known: where
// HAProxy has nothing of ours yet, health checks fail. Else it is left alone.
func (d *Daemon) beforeCluster(ctx context.Context, node haproxy.Node) (next time.Time) {
	next = time.Now().Add(drainInterval)
	want := compile.BeforeCluster(d.Config)
	if len(want.Frontends) == 0 {
		return next
	}
	if _, err := os.Stat(filepath.Join(d.Config.HAProxy.Folder, cfgfile.ConfigFile)); !errors.Is(err, fs.ErrNotExist) {
		return next
	}
	return d.reconciler.Reconcile(ctx, reconcile.Want{State: want, Node: haproxy.Node{Draining: node.Draining}, Authorities: d.certs.Set().Authorities}).Next
}
