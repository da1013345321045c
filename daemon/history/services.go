// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"strings"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/compile"
	"podgate/daemon/reconcile"
	"podgate/kubeapi"
)

// addServices adds the Services whose objects changed, if HAProxy serves the change.
// Those that wait for a reload are added in the pass that reloads.
func (h *History) addServices(p Pass, now time.Time) {
	if p.Compiled == h.last && !p.reloaded() {
		return
	}
	objects := p.Compiled.ChangedSince(h.last)
	first := h.last == nil
	h.last = p.Compiled
	if first {
		return // HAProxy may have served all of them before podgate started
	}
	servers := serversByService(p)
	var changes []*admin.Change
	add := func(o compile.ObjectChange, how admin.How, waited admin.Seconds) {
		changes = append(changes, &admin.Change{
			At: now, Service: o.Service.String(), What: what(o, servers[o.Service]), Object: o.Object, Version: o.Version,
			How: how, Took: admin.Seconds(p.Did.Took), Waited: waited,
		})
	}
	if p.reloaded() {
		for _, o := range h.waiting {
			add(o, admin.ByReload, elapsed(h.since, now))
		}
		h.waiting = nil
	}
	for _, o := range objects {
		endpointsOnly := o.Kind == compile.EndpointsChanged
		switch {
		case p.reloaded() && !endpointsOnly:
			add(o, admin.ByReload, elapsed(h.since, now))
		case servers[o.Service] != reconcile.Delta{}, p.Did.Maps > 0 && !endpointsOnly:
			add(o, admin.ByRuntime, elapsed(p.Since, now))
		case len(p.Status.ReloadReasons) > 0 && !endpointsOnly && len(h.waiting) < maxPerPass:
			h.waiting = append(h.waiting, o)
		}
	}
	h.AddSome(changes, "%d more Services changed at the same time")
}

// serversByService returns how many servers of each Service a pass added and removed.
func serversByService(p Pass) map[kubeapi.Key]reconcile.Delta {
	sums := make(map[kubeapi.Key]reconcile.Delta, len(p.Did.Servers))
	for backend, d := range p.Did.Servers {
		port, ok := p.Compiled.Service(backend)
		if !ok {
			continue
		}
		sum := sums[port.Service]
		sums[port.Service] = reconcile.Delta{In: sum.In + d.In, Out: sum.Out + d.Out}
	}
	return sums
}

// what returns the text of a change: "Service changed, 2 servers in, 1 server out".
func what(o compile.ObjectChange, d reconcile.Delta) string {
	var words []string
	switch o.Kind {
	case compile.ServiceNew:
		words = append(words, "new Service")
	case compile.ServiceDeleted:
		words = append(words, "Service deleted")
	case compile.ServiceChanged:
		words = append(words, "Service changed")
	}
	if d.In > 0 {
		words = append(words, servers(d.In)+" in")
	}
	if d.Out > 0 {
		words = append(words, servers(d.Out)+" out")
	}
	return strings.Join(words, ", ")
}

// servers is "1 server" or "2 servers".
func servers(n int) string {
	if n == 1 {
		return "1 server"
	}
	return fmt.Sprintf("%d servers", n)
}
