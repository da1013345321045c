// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"slices"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/check"
)

// validate returns the part of want that HAProxy loads, and sets the other backends
// aside. It returns an error if no part can be loaded, and does not validate the same
// State again for retryPause.
func (r *Reconciler) validate(ctx context.Context, want haproxy.State) (haproxy.State, error) {
	loadable := r.loadable(want)
	done := r.spend(&r.count.Spent.Render)
	files, err := cfgfile.Render(loadable.Structure(), string(r.dir)) // for its Generation
	done()
	if err != nil {
		return loadable, err
	}
	if err := r.reload.rejects(r.now(), files.Generation); err != nil {
		return loadable, err
	}
	err = r.setAsideTakenBinds(want, loadable)
	if err == nil {
		loadable = r.loadable(want)
		err = r.check(ctx, loadable)
	}
	var operators *check.OperatorError
	if err != nil && !errors.As(err, &operators) && ctx.Err() == nil {
		reasons := culprits(loadable, r.have.Loaded, suspects(r.have.Loaded, loadable), err, func(s haproxy.State) error { return r.check(ctx, s) })
		if len(reasons) > 0 && ctx.Err() == nil {
			r.quarantine.add(r.now(), want, reasons)
			return r.loadable(want), nil
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			r.countApply(ByReload, true)
		}
		r.reload.fail(r.now(), files.Generation, err)
	}
	return loadable, err
}

// setAsideTakenBinds sets aside the backends whose frontends listen on addresses that
// other programs use. It returns an error if HAProxy can load nothing without such an
// address.
func (r *Reconciler) setAsideTakenBinds(want, loadable haproxy.State) error {
	probe := check.ProbeOrSearch
	if !r.ours && r.process.Generation != "" {
		probe = check.Probe // the sockets may belong to a configuration of podgate whose files are lost
	}
	taken, err := check.Binds(r.listening(loadable), check.WithPeer(loadable.Frontends, loadable.Settings, r.local.Name), probe)
	if err != nil {
		return err
	}
	if relayOf(loadable).IsValid() {
		r.reportRelay(taken.Relay)
	}
	if taken.Relay != "" {
		r.quarantine.addRelay(r.now(), want)
	}
	r.quarantine.add(r.now(), want, taken.Backends)
	return nil
}

// listening returns the frontends that HAProxy has. If the configuration of the process is
// not known, it returns the frontends that podgate wrote last, which HAProxy may have.
func (r *Reconciler) listening(want haproxy.State) []haproxy.Frontend {
	if r.ours {
		return check.WithPeer(r.have.Loaded.Frontends, r.have.Loaded.Settings, r.local.Name)
	}
	var frontends []haproxy.Frontend
	for _, s := range r.dir.Remembered() {
		frontends = append(frontends, check.WithPeer(s.Frontends, s.Settings, r.local.Name)...)
	}
	if r.process.Generation != "" && len(frontends) == 0 {
		// HAProxy has loaded a configuration of podgate whose files are lost. Most likely
		// it has the frontends that are wanted.
		frontends = check.WithPeer(want.Frontends, want.Settings, r.local.Name)
	}
	return frontends
}

// check runs haproxy -c on the part of s that HAProxy does not have yet, unless the
// precheck of the same part passed. A failed precheck proves nothing: it may have been
// stopped, or the operator was writing a file.
func (r *Reconciler) check(ctx context.Context, s haproxy.State) error {
	r.alive()
	s = unchecked(s, r.have)
	if r.precheck.passed(r.now, s) {
		r.count.Spent.Check += r.precheck.ended.Sub(r.precheck.began)
		return nil
	}
	r.stopPrecheck()
	defer r.spend(&r.count.Spent.Check)()
	return r.haproxy.State(ctx, s)
}

// unchecked is s without the servers of the backends that HAProxy has as they are wanted.
// These servers are most of a configuration, and HAProxy has loaded them before.
func unchecked(s haproxy.State, have haproxy.Running) haproxy.State {
	backends := s.Backends.Slice()
	for i, b := range backends {
		loaded, ok := have.Loaded.Backend(b.Name)
		if ok && loaded.Policy == b.Policy && loaded.Options == b.Options && slices.Equal(have.Servers[b.Name], b.Servers) {
			bare := *b
			bare.Servers = nil
			backends[i] = &bare
		}
	}
	s.Backends = haproxy.ListOf(backends...)
	return s
}
