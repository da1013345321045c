// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"maps"
	"slices"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/runtime"
)

const (
	// observeInterval is how often podgate checks which process answers.
	observeInterval = 2 * time.Second
	// observeDelay is how long after a change it checks again: if another program
	// reloaded HAProxy at that moment, the old worker got the change.
	observeDelay = 100 * time.Millisecond
)

// observe sets have to what the process that answers now serves. It reads everything
// back from a process that is not the known one, and once per ResyncInterval. On an
// error the process becomes unknown, unless podgate stops: Close still writes what it
// knows of the process.
func (r *Reconciler) observe(ctx context.Context, session *runtime.Session, want haproxy.State, result *Result) error {
	r.observeSoon, r.states.observed = time.Time{}, nil
	now, err := session.Process(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.process.forget()
		}
		return err
	}
	r.reportAdminSocket(r.runtime.AdminSocket())
	same := r.process.is(now)
	if same && r.now().Before(r.resyncAt) {
		return nil
	}
	before := r.have
	if !same {
		r.operator.readAt = time.Time{} // the operator may have changed the files
		addsBackends, err := session.AddsBackends(ctx)
		if err != nil {
			r.process.forget()
			return err
		}
		r.have.AddsBackends, want.RuntimeBackends = addsBackends, addsBackends
		r.adopt(now, want)
	}
	if !same && r.ours {
		if err := r.adoptSpares(ctx, session, now, want); err != nil {
			r.process.forget()
			return err
		}
	}
	if err := r.readAll(ctx, session, want); err != nil {
		if !same || ctx.Err() == nil {
			r.process.forget()
		}
		return err
	}
	if same {
		result.Drift += r.reportDrift(before, want.Node)
		r.writer.Doubt() // another program may have changed the files as well
		r.states.text = nil
		r.writeSoon()
	}
	r.process = process{now}
	r.states.all = true
	return nil
}

// reportAdminSocket logs when HAProxy can only be reached through its master, and
// when that ends.
func (r *Reconciler) reportAdminSocket(err error) {
	reason := ""
	if err != nil {
		reason = "the admin socket is dead" // whatever the error
	}
	switch began, ended := r.viaMaster.Set(reason); {
	case began:
		r.log.Warn("admin socket is dead, HAProxy is reached through its master", "err", err)
	case ended:
		r.log.Info("admin socket answers again")
	}
}

// adopt finds the configuration of a process that this Reconciler did not load: one that
// was written to the folder, or the one that is wanted. If it is neither, the process
// has not loaded a configuration of podgate.
func (r *Reconciler) adopt(p runtime.Process, want haproxy.State) {
	r.writeAt = r.now() // the file may lack the last changes
	r.writer.Release()
	r.have.Rejected, r.have.AtReload, r.reloadedFor = nil, nil, nil
	if r.have.Loaded, r.ours = r.loadedBy(p, want); r.ours {
		r.adoptAdded(p)
	}
}

// loadedBy returns the configuration of podgate that the process has loaded; false if it has
// loaded none that is known.
func (r *Reconciler) loadedBy(p runtime.Process, want haproxy.State) (haproxy.State, bool) {
	if p.Generation == "" {
		return haproxy.State{}, false
	}
	written, _ := r.dir.Loaded(p.Generation)
	for _, s := range []haproxy.State{written, want} {
		if files, err := cfgfile.Render(s, string(r.dir)); err == nil && files.Generation == p.Generation {
			return s.Structure(), true
		}
	}
	return haproxy.State{}, false
}

// readAll reads back everything that podgate's configuration contains.
func (r *Reconciler) readAll(ctx context.Context, session *runtime.Session, want haproxy.State) error {
	defer r.spend(&r.count.Spent.ReadBack)()
	observed, err := session.Observe(ctx)
	if err != nil {
		return err
	}
	r.states.observed = observed.Standing
	loaded, err := session.Maps(ctx)
	if err != nil {
		return err
	}
	r.have.Maps = loaded
	if err := r.observeAllBackends(ctx, session); err != nil {
		return err
	}
	r.have.Servers = make(map[string][]haproxy.Server, r.have.Loaded.Backends.Len())
	r.have.Unmanaged = map[string][]string{}
	for _, b := range r.have.Loaded.Backends.All() {
		r.have.Servers[b.Name] = shared(b.Name, observed.Servers[b.ProxyName()], want)
		if names := observed.Unmanaged[b.ProxyName()]; len(names) > 0 {
			r.have.Unmanaged[b.Name] = names
		}
	}
	if err := r.observeCertificates(ctx, session); err != nil {
		return err
	}
	r.resyncAt = r.now().Add(r.config.ResyncInterval)
	return nil
}

// readBack reads back the backends, maps and certificates that plan touched. HAProxy
// shows maps and certificates together: how the others differ is drift.
func (r *Reconciler) readBack(ctx context.Context, session *runtime.Session, plan haproxy.Plan, want haproxy.State, result *Result) error {
	touched := map[string]string{} // names of backends, by their names in HAProxy
	for _, c := range slices.Concat(plan.Add, plan.Leave) {
		touched[c.Backend.ProxyName()] = c.Backend.Name
	}
	if len(touched) > 0 {
		servers, err := session.Servers(ctx, slices.Sorted(maps.Keys(touched)))
		if err != nil {
			return err
		}
		for proxy, name := range touched {
			if _, ok := r.have.Loaded.Backend(name); !ok {
				name = proxy // HAProxy rejected the backend, and its spare is not taken
			}
			r.have.Servers[name] = shared(name, servers[proxy], want)
		}
	}
	if len(plan.Maps) > 0 {
		loaded, err := session.Maps(ctx)
		if err != nil {
			return err
		}
		before := r.have.Maps
		r.have.Maps = loaded
		var changed []string
		for _, m := range plan.Maps {
			changed = append(changed, m.Name)
		}
		result.Drift += r.reportMapDrift(before, want.Node, changed...)
	}
	var certificates []string
	for _, c := range slices.Concat(plan.Certificates, plan.DropCertificates) {
		certificates = append(certificates, c.Certificate.Name)
	}
	if len(certificates) > 0 {
		before := r.have.Certificates
		if err := r.observeCertificates(ctx, session, certificates...); err != nil {
			return err
		}
		result.Drift += r.reportCertificateDrift(before, certificates...)
	}
	return nil
}

// shared returns the list of want if a backend has the same servers: a list need
// not be compared with itself in every pass.
func shared(backend string, servers []haproxy.Server, want haproxy.State) []haproxy.Server {
	if b, ok := want.Backend(backend); ok && slices.Equal(servers, b.Servers) {
		return b.Servers
	}
	return servers
}
