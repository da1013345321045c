// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/runtime"
)

const (
	// reloadTimeout bounds one reload. The largest configurations take seconds.
	reloadTimeout = time.Minute
	// learnTimeout is longer than a worker takes to learn the stick tables of its peers.
	learnTimeout = 15 * time.Second
	// learnInterval is how often the worker is asked meanwhile.
	learnInterval = 250 * time.Millisecond
)

// reloadReasons returns why only a reload makes HAProxy serve want; nil if no reload is
// needed.
func (r *Reconciler) reloadReasons(want haproxy.State) haproxy.Reasons {
	switch {
	case r.ours:
		return r.differ.ReloadReasons(r.have, want)
	case r.process.Generation == "":
		return haproxy.Reasons{{Kind: haproxy.FirstLoad}}
	}
	return haproxy.Reasons{{Kind: haproxy.ForeignConfiguration, Object: r.process.Generation}}
}

// reloadDue reports whether it is time for a reload that want needs.
func (r *Reconciler) reloadDue(ctx context.Context, want haproxy.State, namespace func(backend string) string) bool {
	reasons := r.slow.split(r.now(), r.reloadReasons(want), namespace, r.config.ReloadInterval)
	r.reportSlow()
	if len(reasons) > 0 {
		r.askOldWorkers(ctx)
	}
	return r.reload.due(r.now(), reasons, r.reload.cost.Floor(r.config.ReloadInterval))
}

// waitsForPeers reports whether a reload that is due has to wait, and postpones it by
// learnInterval: a worker that has not learned the stick tables of the other nodes yet
// passes nothing on to the next worker. This is the case in the first seconds of HAProxy,
// and after the first reload with peers.
func (r *Reconciler) waitsForPeers(ctx context.Context, session *runtime.Session) bool {
	if !r.ours || len(r.have.Loaded.Settings.Peers) == 0 || r.now().Sub(r.reload.since) > learnTimeout {
		return false
	}
	if !r.have.Loaded.Backends.ContainsFunc(func(b *haproxy.Backend) bool { return b.Policy.ClientAffinity > 0 }) {
		return false
	}
	done, err := session.StickTablesSynced(ctx)
	if err != nil || done {
		return false
	}
	r.reload.postpone(r.now().Add(learnInterval))
	r.log.Debug("reload waits until HAProxy has learned the stick tables of its peers")
	return true
}

// reloadWith reloads HAProxy with want, or with the part of want that HAProxy loads, and
// sets the other backends aside. It returns the State that was loaded. On an error,
// HAProxy and the files stay as they were.
func (r *Reconciler) reloadWith(ctx context.Context, want haproxy.State, result *Result) (haproxy.State, error) {
	began := r.now()
	r.reload.begin(began, want)
	defer func() { r.reload.cost.Took = r.now().Sub(began) }()
	defer r.stopPrecheck()
	want, err := r.validate(ctx, want)
	if err != nil {
		return want, err
	}
	reasons := r.reloadReasons(want)
	if len(reasons) == 0 { // every change that needs the reload is set aside
		return want, nil
	}
	loaded, err := r.writeAndReload(ctx, want)
	r.countApply(ByReload, err != nil)
	if err != nil {
		return want, err
	}
	r.process, r.ours, r.have.Loaded = process{loaded}, true, want.Structure()
	r.have.Rejected, r.have.Unwritten, r.added, r.inSpares = nil, nil, nil, nil
	r.settleAtReload(want)
	r.writeAt = r.now() // servers may have changed since
	r.writer.Release()
	session := r.runtime.Session(ctx)
	defer session.Close()
	if err := r.readAll(ctx, session, want); err != nil {
		r.process.forget()
		return want, err
	}
	r.states.all, r.states.touched = true, nil // the files are those that were loaded
	if err := r.keepServerStates(ctx, session); err != nil {
		r.log.Warn("file of server states is not written", "file", cfgfile.ServerStateFile, "err", err)
	}
	r.reload.succeed()
	r.slow.reloaded(r.now(), want)
	r.removeUnusedCertificates(want)
	result.Reload = reasons
	r.count.Reloads[reasons.Kind()]++
	r.log.Info("reloaded", "reason", reasons.Brief(), "generation", loaded.Generation, "pid", loaded.Pid, "took", r.now().Sub(began))
	return want, nil
}

// writeAndReload writes the files of want and reloads HAProxy. On an error it restores
// the old files, and the process becomes unknown. If podgate stops meanwhile, the new
// files stay: HAProxy may have loaded them, or loads them at its next reload.
func (r *Reconciler) writeAndReload(ctx context.Context, want haproxy.State) (runtime.Process, error) {
	r.alive()
	rendered := r.spend(&r.count.Spent.Render)
	files, err := cfgfile.Render(want, string(r.dir))
	if err != nil {
		return runtime.Process{}, err
	}
	r.writer.Wait()
	backup, err := r.dir.Backup()
	if err != nil {
		return runtime.Process{}, fmt.Errorf("reload HAProxy: %w", err)
	}
	if err := r.dir.Write(files, want); err != nil {
		return runtime.Process{}, errors.Join(fmt.Errorf("reload HAProxy: %w", err), backup.Restore())
	}
	rendered()
	generation := files.Generation
	files = cfgfile.Files{} // megabytes that HAProxy may need while it loads
	bounded, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	loaded, err := r.reloadWithServerState(bounded, want, generation)
	switch {
	case err != nil && ctx.Err() != nil:
		r.process.forget()
		return runtime.Process{}, errors.Join(err, backup.Discard())
	case err != nil:
		r.process.forget()
		r.reload.fail(r.now(), generation, err)
		return runtime.Process{}, errors.Join(err, backup.Restore())
	}
	if err := backup.Discard(); err != nil {
		r.log.Warn("backup of the previous configuration remains", "file", r.dir, "err", err)
	}
	return loaded, nil
}

// reloadWithServerState reloads HAProxy with a file of server states, so that servers
// which are down or in drain stay so from the first request on. After a success
// keepServerStates has to write the file again.
func (r *Reconciler) reloadWithServerState(ctx context.Context, want haproxy.State, generation string) (runtime.Process, error) {
	state, err := r.runtime.StateFile(ctx, want, r.have.Loaded.SpareNames())
	if err != nil {
		r.log.Warn("server states were not carried over this reload; servers that are down start as up until they are checked", "err", err)
		state = cfgfile.EmptyServerState()
	}
	before := r.states.text
	r.states.text = nil
	if err := r.dir.WriteServerState(state); err != nil {
		return runtime.Process{}, fmt.Errorf("reload HAProxy: %w", err)
	}
	done := r.spend(&r.count.Spent.Load)
	loaded, err := r.runtime.Reload(ctx, generation)
	done()
	if err != nil && before != nil {
		if err := r.dir.WriteServerState(before); err != nil {
			r.log.Warn("file of server states is not restored", "file", cfgfile.ServerStateFile, "err", err)
		}
	}
	return loaded, err
}
