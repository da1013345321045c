// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"podgate/daemon/compile"
	"podgate/daemon/confdir"
	"podgate/daemon/reconcile"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// drainInterval is how often the drain file is read before the cluster is known.
const drainInterval = 2 * time.Second

// lockFolder makes this process the only podgate that manages the folder. It returns a
// *confdir.InUseError if another one does. If the folder cannot be locked at all, that is
// logged: podgate has work to do without its files, too.
func (d *Daemon) lockFolder() (unlock func(), err error) {
	unlock, err = confdir.Dir(d.Config.HAProxy.Folder).Lock(fmt.Sprintf("process %d, %s", os.Getpid(), d.ConfigFile))
	if _, used := errors.AsType[*confdir.InUseError](err); used {
		return nil, err
	}
	if err != nil {
		d.Log.Warn("folder is not locked against a second podgate", "file", d.Config.HAProxy.Folder, "err", err)
		return func() {}, nil
	}
	return unlock, nil
}

// bootstrap is the pass before the first Snapshot. If podgate has never configured this
// machine, it loads a configuration whose health checks fail, so that the load
// balancer gets an answer. Otherwise it leaves HAProxy alone. next is when the next
// pass is due.
func (d *Daemon) bootstrap(ctx context.Context, node haproxy.Node) (next time.Time) {
	next = time.Now().Add(drainInterval)
	want := compile.BeforeCluster(d.Config)
	if len(want.Frontends) == 0 {
		return next
	}
	if _, err := os.Stat(filepath.Join(d.Config.HAProxy.Folder, cfgfile.ConfigFile)); !errors.Is(err, fs.ErrNotExist) {
		return next
	}
	node.Served = false
	return d.reconciler.Reconcile(ctx, reconcile.Want{State: want, Node: node, Authorities: d.certs.Set().Authorities}).Next
}
