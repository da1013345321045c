// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/check"
	"podgate/haproxy/runtime"
)

const (
	// A burst of changes becomes one reload: it is due when its reasons have been
	// the same for gatherQuiet, or gatherMost after the first.
	gatherQuiet = 100 * time.Millisecond
	gatherMost  = 500 * time.Millisecond
	// refusalPause is how long a configuration that could not be loaded is not
	// tried again, unless another one is wanted.
	refusalPause = time.Minute
	// reloadTimeout bounds one reload. The largest configurations take seconds.
	reloadTimeout = time.Minute
)

// reloadPlan says when HAProxy is to be reloaded next.
type reloadPlan struct {
	at      time.Time // when it is due; zero when none is wanted
	since   time.Time // when the first of the reasons came
	reasons haproxy.Reasons
	learns  bool      // it waits until HAProxy has learned
	last    time.Time // when we reloaded it last
	refused refusal
}

// refusal remembers a configuration that could not be loaded.
type refusal struct {
	generation string
	err        error
	until      time.Time
}

// due takes the present reasons for a reload, and reports whether it is time
// for it: when no more of them come, and not before interval has passed since
// the last one.
func (r *reloadPlan) due(reasons haproxy.Reasons, interval time.Duration) bool {
	now := time.Now()
	same := slices.Equal(reasons, r.reasons)
	r.reasons = reasons
	switch {
	case len(reasons) == 0:
		r.at = time.Time{}
		return false
	case r.at.IsZero():
		r.since, r.learns = now, false
	case same || !now.Before(r.at):
		return !now.Before(r.at)
	}
	r.at = now.Add(gatherQuiet)
	if latest := r.since.Add(gatherMost); latest.Before(r.at) {
		r.at = latest
	}
	if earliest := r.last.Add(interval); r.at.Before(earliest) {
		r.at = earliest
	}
	return !now.Before(r.at)
}

// waits reports whether what is wanted was refused as a whole and is to be tried
// again: no pass in between puts that right.
func (r *reloadPlan) waits() bool { return len(r.reasons) > 0 && r.refused.err != nil }

func (r *Reconciler) reloadReasons(want haproxy.State) haproxy.Reasons {
	switch {
	case r.ours:
		return r.differ.ReloadReasons(r.have, want)
	case r.process.Generation == "":
		return haproxy.Reasons{{Kind: haproxy.FirstLoad}}
	}
	return haproxy.Reasons{{Kind: haproxy.ForeignConfiguration, Object: r.process.Generation}}
}

// load reloads HAProxy with want, or with as much of it as HAProxy takes: the
// rest is set aside. If nothing can be done, the files are left or put back as
// they were and HAProxy goes on serving what it serves. It returns what was
// loaded.
func (r *Reconciler) load(ctx context.Context, want haproxy.State, pass *Result) (haproxy.State, error) {
	began := time.Now()
	r.reload.at, r.reload.learns = time.Time{}, false
	if want.Backends.Len() > 0 { // a reload before the cluster is known delays no other
		r.reload.last = began
	}
	defer r.dropAhead()
	want, err := r.sift(ctx, want)
	if err != nil {
		return want, err
	}
	reasons := r.reloadReasons(want)
	if len(reasons) == 0 { // all that was to be loaded is set aside
		return want, nil
	}
	process, err := r.swap(ctx, want)
	r.countApply(ByReload, err != nil)
	if err != nil {
		return want, err
	}
	r.process, r.ours, r.have.Loaded = process, true, want.Structure()
	r.have.Refused, r.added = nil, nil
	r.writeAt = time.Now() // servers may have changed since
	r.writer.Reloaded()
	session := r.runtime.Session(ctx)
	defer session.Close()
	if err := r.observe(ctx, session, want); err != nil {
		r.process = runtime.Process{}
		return want, err
	}
	r.reload.reasons, r.reload.refused = nil, refusal{}
	r.tidyCertificates(want)
	pass.Reload = reasons
	r.count.Reloads[reasons.Kind()]++
	r.log.Info("reloaded", "reason", reasons.Brief(), "generation", process.Generation, "pid", process.Pid, "took", time.Since(began))
	return want, nil
}

const (
	// learnsMost is longer than a worker learns of its peers.
	learnsMost = 15 * time.Second
	// learnsTick is how often it is asked meanwhile.
	learnsTick = 250 * time.Millisecond
)

// learns reports whether a reload has to wait, and for a while: the worker that
// serves remembers clients whom it would forget with it, because it has not
// learned yet what the other edge nodes know. That is so in the first seconds of
// HAProxy, and after the first reload with peers.
func (r *Reconciler) learns(ctx context.Context, session *runtime.Session) bool {
	if !r.ours || len(r.have.Loaded.Settings.Peers) == 0 || time.Since(r.reload.since) > learnsMost {
		return false
	}
	if !r.have.Loaded.Backends.ContainsFunc(func(b *haproxy.Backend) bool { return b.Policy.ClientAffinity > 0 }) {
		return false
	}
	done, err := session.HandsOn(ctx)
	if err != nil || done {
		return false
	}
	r.reload.at, r.reload.learns = time.Now().Add(learnsTick), true
	r.log.Debug("reload waits until HAProxy hands its stick tables on")
	return true
}

// sift returns as much of what is asked for as HAProxy could load, and sets the rest aside.
// The error tells that it could load nothing of it. A State that was refused as
// a whole is not tried again for a while.
func (r *Reconciler) sift(ctx context.Context, asked haproxy.State) (haproxy.State, error) {
	want := r.quarantine.filter(asked, r.have.Loaded)
	files, err := cfgfile.Render(want.Structure(), string(r.dir)) // for its Generation
	if err != nil {
		return want, err
	}
	if r := r.reload.refused; r.generation == files.Generation && time.Now().Before(r.until) {
		return want, r.err
	}
	loads := func(s haproxy.State) error { return r.check(ctx, s) }
	probe := check.ProbeOrSearch
	if !r.ours && r.process.Generation != "" {
		probe = check.Probe // the sockets may be those of a configuration of ours that is forgotten
	}
	taken, err := check.Binds(r.listening(want), check.WithPeer(want.Frontends, want.Settings, r.local.Name), probe)
	if err == nil {
		if slices.ContainsFunc(want.Frontends, func(f haproxy.Frontend) bool { return f.Relay.IsValid() }) {
			r.tellRelay(taken.Relay)
		}
		if taken.Relay != "" {
			taken.Backends[relay] = taken.Relay
		}
		r.quarantine.add(asked, taken.Backends)
		want = r.quarantine.filter(asked, r.have.Loaded)
		err = loads(want)
	}
	var operators *check.OperatorError
	if err != nil && !errors.As(err, &operators) && ctx.Err() == nil {
		reasons := culprits(want, r.have.Loaded, suspects(r.have.Loaded, want), loads)
		if len(reasons) > 0 && ctx.Err() == nil {
			r.quarantine.add(asked, reasons)
			return r.quarantine.filter(asked, r.have.Loaded), nil
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			r.countApply(ByReload, true)
		}
		r.reload.refused = refusal{files.Generation, err, time.Now().Add(refusalPause)}
	}
	return want, err
}

// untried is s without the servers of the backends that HAProxy has just as they
// are wanted: it takes them again, and they are most of what is to be checked.
func untried(s haproxy.State, have haproxy.Running) haproxy.State {
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

// listening are the frontends that HAProxy has, as far as we know. Of a process
// that we do not know those count that we ever wrote lately: it may be ours all
// the same.
func (r *Reconciler) listening(want haproxy.State) []haproxy.Frontend {
	if r.ours {
		return check.WithPeer(r.have.Loaded.Frontends, r.have.Loaded.Settings, r.local.Name)
	}
	var frontends []haproxy.Frontend
	for _, s := range r.dir.Remembered() {
		frontends = append(frontends, check.WithPeer(s.Frontends, s.Settings, r.local.Name)...)
	}
	if r.process.Generation != "" && len(frontends) == 0 {
		// A configuration of ours, and our memory of it is lost: what is wanted is
		// most likely what listens.
		frontends = check.WithPeer(want.Frontends, want.Settings, r.local.Name)
	}
	return frontends
}

// tellRelay logs why there is no relay, when that begins.
func (r *Reconciler) tellRelay(reason string) {
	if began, _ := r.noRelay.Set(reason); began {
		r.log.Warn("http.relay is set aside, retired workers answer their last requests by themselves", "reason", reason)
	}
}

// swap puts the files of want in place and has HAProxy load them. On an error
// the old files are back, but where we are told to stop: HAProxy may have the new
// ones then, and would take them in any case.
func (r *Reconciler) swap(ctx context.Context, want haproxy.State) (runtime.Process, error) {
	r.alive()
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
	generation := files.Generation
	files = cfgfile.Files{} // megabytes, of no use while HAProxy loads
	bounded, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	process, err := r.reloadWithState(bounded, want, generation)
	if err != nil && ctx.Err() != nil {
		r.process = runtime.Process{}
		return runtime.Process{}, errors.Join(err, backup.Forget())
	}
	if err != nil {
		r.process = runtime.Process{} // whichever it is now
		r.reload.refused = refusal{generation, err, time.Now().Add(refusalPause)}
		return runtime.Process{}, errors.Join(err, backup.Restore())
	}
	if err := backup.Forget(); err != nil {
		r.log.Warn("what was loaded before is left behind", "file", r.dir, "err", err)
	}
	return process, nil
}

// reloadWithState reloads HAProxy so that servers that are down stay down, and
// those that drain drain, from the first request on. What the new worker was
// told of its servers is taken away again: later it would be wrong.
func (r *Reconciler) reloadWithState(ctx context.Context, want haproxy.State, generation string) (runtime.Process, error) {
	state, err := r.runtime.StateFile(ctx, want)
	if err != nil {
		r.log.Warn("servers that are down come up for a moment", "err", err)
		state = cfgfile.EmptyServerState()
	}
	if err := r.dir.WriteServerState(state); err != nil {
		return runtime.Process{}, fmt.Errorf("reload HAProxy: %w", err)
	}
	process, err := r.runtime.Reload(ctx, generation)
	if written := r.dir.WriteServerState(cfgfile.EmptyServerState()); written != nil {
		r.log.Warn("state of servers is left behind", "file", cfgfile.ServerStateFile, "err", written)
	}
	return process, err
}

// writeDesired writes want while HAProxy does not answer, so that it finds it
// when it starts. A configuration that it would not start with is not written.
func (r *Reconciler) writeDesired(ctx context.Context, want haproxy.State) error {
	files, err := cfgfile.Render(want, string(r.dir))
	if err != nil {
		return err
	}
	if _, checked := r.dir.Loaded(files.Generation); !checked {
		if want, err = r.sift(ctx, want); err != nil {
			return err
		}
		if files, err = cfgfile.Render(want, string(r.dir)); err != nil {
			return err
		}
	}
	r.writer.Wait()
	return r.dir.Write(files, want)
}

// writeRunning has the file follow what runs, when it is time and that is known.
// It does not wait for the disk, and tells what became of the write before.
func (r *Reconciler) writeRunning() error {
	due := !r.writeAt.IsZero() && !time.Now().Before(r.writeAt) && r.process.Pid != 0
	switch {
	case r.writer.Busy():
		if due {
			r.writeAt = time.Now().Add(writePause)
		}
	case r.ours && due:
		r.writeAt = time.Time{}
		r.writer.Start(r.have)
	case r.writer.Err() != nil && r.writeAt.IsZero():
		r.writeAt = time.Now().Add(writeDelay)
	}
	return r.writer.Err()
}

// writePlannedMaps puts maps on disk before HAProxy is told of them.
func (r *Reconciler) writePlannedMaps(plan haproxy.Plan) error {
	if len(plan.Maps) == 0 {
		return nil
	}
	texts, err := cfgfile.RenderMaps(plan.Maps)
	if err != nil {
		return err
	}
	r.writer.Wait()
	return r.dir.WriteMaps(texts)
}
