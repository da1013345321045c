// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"podgate/daemon/confdir"
	"podgate/daemon/latest"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// knownInterval is the shortest time between two writes of the known Services.
const knownInterval = time.Second

// known are the Services that are in service. They are on disk, too, so that a podgate
// that starts while a namespace cannot be read keeps what HAProxy serves of it.
type known struct {
	services []*kubeapi.Service
	next     chan []*kubeapi.Service // to be written; of capacity 1, holds only the newest
}

// recall reads the known Services from disk. A file that is missing although HAProxy
// serves podgate's configuration, as after an upgrade of podgate, is no reason to remove
// anything: podgate then waits until everything can be read.
func (d *Daemon) recall() {
	d.known.next = make(chan []*kubeapi.Service, 1)
	dir := confdir.Dir(d.Config.HAProxy.Folder)
	var services []*kubeapi.Service
	switch err := dir.ReadServices(&services); {
	case err == nil:
		d.cluster.Know(services)
	case errors.Is(err, fs.ErrNotExist) && len(dir.Remembered()) == 0:
	case errors.Is(err, fs.ErrNotExist):
		d.cluster.Lost()
	default:
		d.Log.Warn("known Services cannot be read, waiting until all of the cluster can be read", "err", err)
		d.cluster.Lost()
	}
}

// know notes the Services of the present Snapshot.
func (d *Daemon) know() {
	services := d.snapshot.Services
	if d.known.services != nil && haproxy.Same(services, d.known.services) {
		return
	}
	if services == nil {
		services = []*kubeapi.Service{}
	}
	d.known.services = services
	d.cluster.Know(services)
	latest.Send(d.known.next, services)
}

// writeKnown writes the known Services until ctx ends, and then the last ones.
func (d *Daemon) writeKnown(ctx context.Context, dir confdir.Dir) {
	failed := false
	write := func(services []*kubeapi.Service) {
		err := dir.WriteServices(services)
		if err != nil && !failed {
			d.Log.Error("known Services cannot be written", "err", err)
		}
		failed = err != nil
	}
	for {
		select {
		case <-ctx.Done():
			select {
			case services := <-d.known.next:
				write(services)
			default:
			}
			return
		case services := <-d.known.next:
			write(services)
		}
		select {
		case <-ctx.Done():
		case <-time.After(knownInterval):
		}
	}
}
