// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"maps"
	"slices"

	"podgate/daemon/confdir"
	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// addedBackend is one that loadedFile may miss.
type addedBackend struct {
	*haproxy.Backend     // without servers
	writes           int // of loadedFile that had begun when it was added
}

// announce writes down which backends HAProxy is about to be given, beside
// those that may not stand in loadedFile yet.
func (e *edge) announce(backends []*haproxy.Backend) error {
	if len(backends) == 0 {
		return nil
	}
	maps.DeleteFunc(e.added, func(_ string, b addedBackend) bool { return e.writer.Finished() > b.writes })
	if e.added == nil {
		e.added = map[string]addedBackend{}
	}
	for _, b := range backends {
		bare := *b
		bare.Servers = nil
		e.added[b.Name] = addedBackend{&bare, e.writer.Started()}
	}
	a := confdir.Added{Generation: e.process.Generation, Pid: e.process.Pid}
	for _, name := range slices.Sorted(maps.Keys(e.added)) {
		a.Backends = append(a.Backends, e.added[name].Backend)
	}
	return e.folder.WriteAdded(a)
}

// adoptAdded takes the backends of confdir.Added for loaded too. Those that HAProxy
// does not show are none, as observeAllBackends finds.
func (e *edge) adoptAdded(p runtime.Process) {
	backends := e.folder.ReadAdded(p.Generation, p.Pid)
	e.added = map[string]addedBackend{}
	for _, b := range backends {
		e.added[b.Name] = addedBackend{b, e.writer.Started()}
	}
	if len(backends) > 0 {
		e.have.Loaded = e.have.Loaded.WithBackends(backends, nil)
	}
}

// observeAllBackends finds out which of the backends that we think the process has
// it has, and to which of them it leads requests.
func (e *edge) observeAllBackends(ctx context.Context, session *runtime.Session) error {
	if !e.have.TakesBackends {
		return nil
	}
	published, err := session.Published(ctx, nil)
	if err != nil {
		return err
	}
	var names []string
	for _, b := range e.have.Loaded.Backends.All() {
		names = append(names, b.Name)
	}
	e.have.Unpublished = nil
	e.takePublished(names, published)
	return nil
}

// observeBackends is observeAllBackends for the named ones, which may be none: it
// costs what they are and not what there is.
func (e *edge) observeBackends(ctx context.Context, session *runtime.Session, names []string) error {
	if !e.have.TakesBackends || len(names) == 0 {
		return nil
	}
	published, err := session.Published(ctx, names)
	if err != nil {
		return err
	}
	e.takePublished(names, published)
	return nil
}

// takePublished has have follow what was observed of the named backends.
func (e *edge) takePublished(names []string, published map[string]bool) {
	gone, unpublished := map[string]bool{}, map[string]bool{}
	maps.Copy(unpublished, e.have.Unpublished)
	for _, name := range names {
		open, ok := published[name]
		delete(unpublished, name)
		switch {
		case !ok:
			gone[name] = true
			delete(e.have.Servers, name)
		case !open:
			unpublished[name] = true
		}
	}
	e.have.Unpublished = unpublished
	if len(gone) > 0 {
		e.have.Loaded = e.have.Loaded.WithBackends(nil, gone)
	}
}

// takeBackends has have follow what became of the backends of a plan.
func (e *edge) takeBackends(ctx context.Context, session *runtime.Session, plan haproxy.Plan, applied runtime.Applied) error {
	var touched []string
	for _, b := range slices.Concat(plan.NewBackends, plan.OldBackends) {
		touched = append(touched, b.Name)
	}
	refused := maps.Clone(e.have.Refused)
	if refused == nil {
		refused = map[string]string{}
	}
	for _, r := range applied.Refused {
		if slices.Contains(touched, r.Backend) {
			refused[r.Backend] = r.Reply
		}
	}
	e.have.Refused = refused
	taken := slices.DeleteFunc(slices.Clone(plan.NewBackends), func(b *haproxy.Backend) bool { return refused[b.Name] != "" })
	if len(taken) > 0 {
		e.have.Loaded = e.have.Loaded.WithBackends(taken, nil)
	}
	touched = append(touched, plan.Publish...)
	for _, c := range slices.Concat(plan.Add, plan.Leave) {
		touched = append(touched, c.Backend.Name)
	}
	slices.Sort(touched)
	return e.observeBackends(ctx, session, slices.Compact(touched))
}

// troubles are the refusals that no reload makes good for.
func (e *edge) troubles(refused []runtime.Refusal) []runtime.Refusal {
	return slices.DeleteFunc(slices.Clone(refused), func(r runtime.Refusal) bool {
		name := r.Backend
		if r.Change.Backend != nil {
			name = r.Change.Backend.Name
		}
		return e.have.Refused[name] != ""
	})
}

// tellBackendDrift tells which backends are gone, or have nothing led to them,
// that we left otherwise, and counts them.
func (e *edge) tellBackendDrift(before haproxy.Running) (count int) {
	for _, b := range before.Loaded.Backends.All() {
		_, there := e.have.Loaded.Backend(b.Name)
		switch {
		case !there:
			e.log.Warn("drift found", "backend", b.Name, "have", "deleted")
		case e.have.Unpublished[b.Name] && !before.Unpublished[b.Name]:
			e.log.Warn("drift found", "backend", b.Name, "have", "unpublished")
		default:
			continue
		}
		count++
	}
	return count
}
