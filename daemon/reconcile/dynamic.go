// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"maps"
	"slices"

	"podgate/daemon/confdir"
	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// addedBackend is a backend that was added at run time, and that the files may lack.
type addedBackend struct {
	*haproxy.Backend     // without servers
	writes           int // how many writes of the files had started when it was added
}

// announce writes confdir.Added before these backends are added to HAProxy: they, and
// the earlier ones that the files may lack.
func (r *Reconciler) announce(backends []*haproxy.Backend) error {
	if len(backends) == 0 {
		return nil
	}
	maps.DeleteFunc(r.added, func(_ string, b addedBackend) bool { return r.writer.Finished() > b.writes })
	if r.added == nil {
		r.added = map[string]addedBackend{}
	}
	for _, b := range backends {
		bare := *b
		bare.Servers = nil
		r.added[b.Name] = addedBackend{&bare, r.writer.Started()}
	}
	a := confdir.Added{Generation: r.process.Generation, Pid: r.process.Pid}
	for _, name := range slices.Sorted(maps.Keys(r.added)) {
		a.Backends = append(a.Backends, r.added[name].Backend)
	}
	return r.dir.WriteAdded(a)
}

// adoptAdded adds the backends of confdir.Added to what is loaded. observeAllBackends
// removes those that HAProxy does not have.
func (r *Reconciler) adoptAdded(p runtime.Process) {
	backends := slices.DeleteFunc(r.dir.ReadAdded(p.Generation, p.Pid), func(b *haproxy.Backend) bool { return b.Spare != "" })
	r.added = map[string]addedBackend{}
	for _, b := range backends {
		r.added[b.Name] = addedBackend{b, r.writer.Started()}
	}
	if len(backends) > 0 {
		r.have.Loaded = r.have.Loaded.WithBackends(backends, nil)
	}
}

// observeAllBackends reads back which of the loaded backends the process has, and which
// of them are published.
func (r *Reconciler) observeAllBackends(ctx context.Context, session *runtime.Session) error {
	if !r.have.AddsBackends {
		return nil
	}
	published, err := session.Published(ctx, nil)
	if err != nil {
		return err
	}
	var names []string
	for _, b := range r.have.Loaded.Backends.All() {
		names = append(names, b.Name)
	}
	r.have.Unpublished = nil
	r.settlePublished(names, published)
	return nil
}

// observeBackends is observeAllBackends for the named backends. Without names it does
// nothing.
func (r *Reconciler) observeBackends(ctx context.Context, session *runtime.Session, names []string) error {
	if !r.have.AddsBackends || len(names) == 0 {
		return nil
	}
	published, err := session.Published(ctx, names)
	if err != nil {
		return err
	}
	r.settlePublished(names, published)
	return nil
}

// settlePublished updates have: published has the named backends that exist.
func (r *Reconciler) settlePublished(names []string, published map[string]bool) {
	gone, unpublished := map[string]bool{}, map[string]bool{}
	maps.Copy(unpublished, r.have.Unpublished)
	for _, name := range names {
		open, ok := published[name]
		delete(unpublished, name)
		switch {
		case !ok:
			gone[name] = true
			delete(r.have.Servers, name)
		case !open:
			unpublished[name] = true
		}
	}
	r.have.Unpublished = unpublished
	if len(gone) > 0 {
		r.have.Loaded = r.have.Loaded.WithBackends(nil, gone)
	}
}

// settleBackends updates have after a plan was applied: its backends may have been
// rejected.
func (r *Reconciler) settleBackends(ctx context.Context, session *runtime.Session, plan haproxy.Plan, applied runtime.Applied) error {
	var touched []string
	for _, b := range slices.Concat(plan.NewBackends, plan.OldBackends) {
		touched = append(touched, b.Name)
	}
	rejected := maps.Clone(r.have.Rejected)
	if rejected == nil {
		rejected = map[string]string{}
	}
	for _, r := range applied.Rejected {
		if slices.Contains(touched, r.Backend) {
			rejected[r.Backend] = r.Reply
		}
	}
	r.have.Rejected = rejected
	taken := slices.DeleteFunc(slices.Clone(plan.NewBackends), func(b *haproxy.Backend) bool { return rejected[b.Name] != "" })
	r.settleSpares(taken, plan.Vacated, applied)
	if len(taken) > 0 {
		r.have.Loaded = r.have.Loaded.WithBackends(taken, nil)
	}
	touched = append(touched, plan.Publish...)
	for _, c := range slices.Concat(plan.Add, plan.Leave) {
		touched = append(touched, c.Backend.Name)
	}
	slices.Sort(touched)
	return r.observeBackends(ctx, session, slices.Compact(touched))
}

// final returns the rejections that remain after a reload: a reload adds the backends
// that HAProxy rejected at run time, and changes the parts that are left to it.
func (r *Reconciler) final(rejected []runtime.Rejection) []runtime.Rejection {
	return slices.DeleteFunc(slices.Clone(rejected), func(rejection runtime.Rejection) bool {
		if part, ok := partOf(rejection); ok && r.have.AtReload[part] != "" {
			return true
		}
		name := rejection.Backend
		if rejection.Change.Backend != nil {
			name = rejection.Change.Backend.Name
		}
		return r.have.Rejected[name] != ""
	})
}
