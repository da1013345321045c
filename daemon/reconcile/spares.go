// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"maps"
	"slices"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// adoptSpares finds out which backend is in which spare of a process that this Reconciler
// did not load. Only the process knows that: another program may have loaded it from the
// files while they were written.
func (r *Reconciler) adoptSpares(ctx context.Context, session *runtime.Session, p runtime.Process, want haproxy.State) error {
	r.inSpares = nil
	if r.have.Loaded.SpareBackends == 0 {
		return nil
	}
	names, err := session.SpareNames(ctx)
	if err != nil {
		return err
	}
	known := slices.DeleteFunc(r.dir.ReadAdded(p.Generation, p.Pid), func(b *haproxy.Backend) bool { return b.Spare == "" })
	servers, err := session.Servers(ctx, slices.Sorted(maps.Keys(names)))
	if err != nil {
		return err
	}
	r.have.Loaded = r.have.Loaded.WithSpareNames(names, append(known, emptyBackends(names, servers, r.have.Loaded, want)...)...)
	for spare, name := range names {
		if b, ok := r.have.Loaded.Backend(name); ok && b.Spare == spare {
			r.inSpares = append(r.inSpares, name)
			r.touch(name) // podgate.cfg may lack the last changes
			r.added[name] = addedBackend{&b, r.writer.Started()}
		}
	}
	return nil
}

// emptyBackends returns the wanted structure of backends in spares that have no server
// yet, and of which loaded does not know the structure: nothing has another one.
func emptyBackends(names map[string]string, servers map[string][]haproxy.Server, loaded, want haproxy.State) []*haproxy.Backend {
	var empty []*haproxy.Backend
	for spare, name := range names {
		_, known := loaded.Backend(name)
		if b, ok := want.Backend(name); ok && !known && len(servers[spare]) == 0 {
			b.Servers = nil
			empty = append(empty, &b)
		}
	}
	return empty
}

// settleSpares updates have after a plan was applied: backends have taken spares, or left
// them.
func (r *Reconciler) settleSpares(taken, vacated []*haproxy.Backend, applied runtime.Applied) {
	if slices.ContainsFunc(applied.Rejected, func(rejection runtime.Rejection) bool { return rejection.Map == haproxy.SparesMap }) {
		return
	}
	gone := map[string]bool{}
	for _, b := range vacated {
		gone[b.Name] = true
		delete(r.have.Servers, b.Name)
		delete(r.added, b.Name)
	}
	if len(gone) > 0 {
		r.have.Loaded = r.have.Loaded.WithBackends(nil, gone)
		r.inSpares = slices.DeleteFunc(r.inSpares, func(name string) bool { return gone[name] })
	}
	for _, b := range taken {
		if b.Spare != "" {
			delete(r.have.Servers, b.Spare)
			r.inSpares = append(r.inSpares, b.Name)
		}
	}
}

// unwrittenSpares returns the backends in spares that have no servers, but that may have
// some in podgate.cfg: nothing else may take these spares, because HAProxy would start
// with the old servers.
func (r *Reconciler) unwrittenSpares() map[string]bool {
	if len(r.inSpares) == 0 {
		return nil
	}
	r.writer.Busy() // for Finished
	var unwritten map[string]bool
	for _, name := range r.inSpares {
		if len(r.have.Servers[name]) == 0 && !r.untouched(name) {
			if unwritten == nil {
				unwritten = map[string]bool{}
			}
			unwritten[name] = true
		}
	}
	return unwritten
}
