// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"podgate/daemon/admin"
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

func (e *edge) reloadReasons(want haproxy.State) haproxy.Reasons {
	switch {
	case e.ours:
		return e.differ.ReloadReasons(e.have, want)
	case e.process.Generation == "":
		return haproxy.Reasons{{Kind: haproxy.FirstLoad}}
	}
	return haproxy.Reasons{{Kind: haproxy.ForeignConfiguration, Object: e.process.Generation}}
}

// load reloads HAProxy with want, or with as much of it as HAProxy takes: the
// rest is set aside. If nothing can be done, the files are left or put back as
// they were and HAProxy goes on serving what it serves. It returns what was
// loaded.
func (e *edge) load(ctx context.Context, want haproxy.State, pass *Pass) (haproxy.State, error) {
	began := time.Now()
	e.reload.at, e.reload.learns = time.Time{}, false
	e.reload.last = began
	defer e.dropAhead()
	want, err := e.sift(ctx, want)
	if err != nil {
		return want, err
	}
	reasons := e.reloadReasons(want)
	if len(reasons) == 0 { // all that was to be loaded is set aside
		return want, nil
	}
	process, err := e.swap(ctx, want)
	e.countApply(admin.Reload, err != nil)
	if err != nil {
		return want, err
	}
	e.process, e.ours, e.have.Loaded = process, true, want.Structure()
	e.have.Refused, e.added = nil, nil
	e.writeAt = time.Now() // servers may have changed since
	e.writer.Reloaded()
	session := e.runtime.Session(ctx)
	defer session.Close()
	if err := e.observe(ctx, session, want); err != nil {
		e.process = runtime.Process{}
		return want, err
	}
	e.reload.reasons, e.reload.refused = nil, refusal{}
	e.tidyCertificates(want)
	pass.Reload = reasons
	e.count.Reloads[reasons.Kind()]++
	e.log.Info("reloaded", "reason", brief(reasons), "generation", process.Generation, "pid", process.Pid, "took", time.Since(began))
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
func (e *edge) learns(ctx context.Context, session *runtime.Session) bool {
	if !e.ours || len(e.have.Loaded.Settings.Peers) == 0 || time.Since(e.reload.since) > learnsMost {
		return false
	}
	if !e.have.Loaded.Backends.ContainsFunc(func(b *haproxy.Backend) bool { return b.Policy.ClientAffinity > 0 }) {
		return false
	}
	done, err := session.HandsOn(ctx)
	if err != nil || done {
		return false
	}
	e.reload.at, e.reload.learns = time.Now().Add(learnsTick), true
	e.log.Debug("reload waits until HAProxy hands its stick tables on")
	return true
}

// brief is what a log line can hold of reasons.
func brief(reasons haproxy.Reasons) string {
	const most = 5
	texts := reasons[:min(len(reasons), most)].Texts()
	if more := len(reasons) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

// sift returns as much of what is asked for as HAProxy could load, and sets the rest aside.
// The error tells that it could load nothing of it. A State that was refused as
// a whole is not tried again for a while.
func (e *edge) sift(ctx context.Context, asked haproxy.State) (haproxy.State, error) {
	want := e.quarantine.filter(asked, e.have.Loaded)
	files, err := cfgfile.Render(want.Structure(), string(e.folder)) // for its Generation
	if err != nil {
		return want, err
	}
	if r := e.reload.refused; r.generation == files.Generation && time.Now().Before(r.until) {
		return want, r.err
	}
	loads := func(s haproxy.State) error { return e.check(ctx, s) }
	probe := check.ProbeOrSearch
	if !e.ours && e.process.Generation != "" {
		probe = check.Probe // the sockets may be those of a configuration of ours that is forgotten
	}
	taken, err := check.Binds(e.listening(want), check.WithPeer(want.Frontends, want.Settings, e.local.name), probe)
	if err == nil {
		if slices.ContainsFunc(want.Frontends, func(f haproxy.Frontend) bool { return f.Relay.IsValid() }) {
			e.tellRelay(taken.Relay)
		}
		if taken.Relay != "" {
			taken.Backends[relay] = taken.Relay
		}
		e.quarantine.add(asked, taken.Backends)
		want = e.quarantine.filter(asked, e.have.Loaded)
		err = loads(want)
	}
	var operators *check.OperatorError
	if err != nil && !errors.As(err, &operators) && ctx.Err() == nil {
		reasons := culprits(want, e.have.Loaded, suspects(e.have.Loaded, want), loads)
		if len(reasons) > 0 && ctx.Err() == nil {
			e.quarantine.add(asked, reasons)
			return e.quarantine.filter(asked, e.have.Loaded), nil
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			e.countApply(admin.Reload, true)
		}
		e.reload.refused = refusal{files.Generation, err, time.Now().Add(refusalPause)}
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
func (e *edge) listening(want haproxy.State) []haproxy.Frontend {
	if e.ours {
		return check.WithPeer(e.have.Loaded.Frontends, e.have.Loaded.Settings, e.local.name)
	}
	var frontends []haproxy.Frontend
	for _, s := range e.folder.Remembered() {
		frontends = append(frontends, check.WithPeer(s.Frontends, s.Settings, e.local.name)...)
	}
	if e.process.Generation != "" && len(frontends) == 0 {
		// A configuration of ours, and our memory of it is lost: what is wanted is
		// most likely what listens.
		frontends = check.WithPeer(want.Frontends, want.Settings, e.local.name)
	}
	return frontends
}

// tellRelay logs why there is no relay, when that begins.
func (e *edge) tellRelay(reason string) {
	if began, _ := e.noRelay.Set(reason); began {
		e.log.Warn("http.relay is set aside, retired workers answer their last requests by themselves", "reason", reason)
	}
}

// swap puts the files of want in place and has HAProxy load them. On an error
// the old files are back, but where we are told to stop: HAProxy may have the new
// ones then, and would take them in any case.
func (e *edge) swap(ctx context.Context, want haproxy.State) (runtime.Process, error) {
	e.alive()
	files, err := cfgfile.Render(want, string(e.folder))
	if err != nil {
		return runtime.Process{}, err
	}
	e.writer.Wait()
	backup, err := e.folder.Backup()
	if err != nil {
		return runtime.Process{}, fmt.Errorf("reload HAProxy: %w", err)
	}
	if err := e.folder.Write(files, want); err != nil {
		return runtime.Process{}, errors.Join(fmt.Errorf("reload HAProxy: %w", err), backup.Restore())
	}
	generation := files.Generation
	files = cfgfile.Files{} // megabytes, of no use while HAProxy loads
	bounded, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	process, err := e.reloadWithState(bounded, want, generation)
	if err != nil && ctx.Err() != nil {
		e.process = runtime.Process{}
		return runtime.Process{}, errors.Join(err, backup.Forget())
	}
	if err != nil {
		e.process = runtime.Process{} // whichever it is now
		e.reload.refused = refusal{generation, err, time.Now().Add(refusalPause)}
		return runtime.Process{}, errors.Join(err, backup.Restore())
	}
	if err := backup.Forget(); err != nil {
		e.log.Warn("what was loaded before is left behind", "file", e.folder, "err", err)
	}
	return process, nil
}

// reloadWithState reloads HAProxy so that servers that are down stay down, and
// those that drain drain, from the first request on. What the new worker was
// told of its servers is taken away again: later it would be wrong.
func (e *edge) reloadWithState(ctx context.Context, want haproxy.State, generation string) (runtime.Process, error) {
	state, err := e.runtime.StateFile(ctx, want)
	if err != nil {
		e.log.Warn("servers that are down come up for a moment", "err", err)
		state = cfgfile.EmptyServerState()
	}
	if err := e.folder.WriteServerState(state); err != nil {
		return runtime.Process{}, fmt.Errorf("reload HAProxy: %w", err)
	}
	process, err := e.runtime.Reload(ctx, generation)
	if written := e.folder.WriteServerState(cfgfile.EmptyServerState()); written != nil {
		e.log.Warn("state of servers is left behind", "file", cfgfile.ServerStateFile, "err", written)
	}
	return process, err
}

// writeDesired writes want while HAProxy does not answer, so that it finds it
// when it starts. A configuration that it would not start with is not written.
func (e *edge) writeDesired(ctx context.Context, want haproxy.State) error {
	files, err := cfgfile.Render(want, string(e.folder))
	if err != nil {
		return err
	}
	if _, checked := e.folder.Loaded(files.Generation); !checked {
		if want, err = e.sift(ctx, want); err != nil {
			return err
		}
		if files, err = cfgfile.Render(want, string(e.folder)); err != nil {
			return err
		}
	}
	e.writer.Wait()
	return e.folder.Write(files, want)
}

// writeRunning has the file follow what runs, when it is time and that is known.
// It does not wait for the disk, and tells what became of the write before.
func (e *edge) writeRunning() error {
	due := !e.writeAt.IsZero() && !time.Now().Before(e.writeAt) && e.process.Pid != 0
	switch {
	case e.writer.Busy():
		if due {
			e.writeAt = time.Now().Add(writePause)
		}
	case e.ours && due:
		e.writeAt = time.Time{}
		e.writer.Start(e.have)
	case e.writer.Err() != nil && e.writeAt.IsZero():
		e.writeAt = time.Now().Add(writeDelay)
	}
	return e.writer.Err()
}

// writePlannedMaps puts maps on disk before HAProxy is told of them.
func (e *edge) writePlannedMaps(plan haproxy.Plan) error {
	if len(plan.Maps) == 0 {
		return nil
	}
	texts, err := cfgfile.RenderMaps(plan.Maps)
	if err != nil {
		return err
	}
	e.writer.Wait()
	return e.folder.WriteMaps(texts)
}
