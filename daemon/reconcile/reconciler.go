// SPDX-License-Identifier: Apache-2.0

// Package reconcile reconciles the HAProxy of this machine with a wanted State, without
// dropping a request. Of the daemon's packages, only reconcile and drain change HAProxy.
// It does not know how a State was compiled. Other packages see its state as Status,
// which is a copy.
package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"podgate/daemon/confdir"
	"podgate/daemon/guard"
	"podgate/daemon/transition"
	"podgate/haproxy"
	"podgate/haproxy/check"
	"podgate/haproxy/runtime"
)

// Want is what HAProxy should serve.
type Want struct {
	State        haproxy.State         // as it was compiled, without Certificates and Node
	Certificates []haproxy.Certificate // sorted by Name; the same list as before if nothing changed
	Node         haproxy.Node
	// Authorities are the CA files that State names, by their names in the folder
	// of certificates, which contain a hash of the file.
	Authorities map[string][]byte

	// Up is how many servers of each backend were up when HAProxy was polled; nil if it did
	// not answer.
	Up     map[string]int
	Polled time.Time // zero before the first poll

	// Lists is kubeapi.Snapshot.Complete of the Snapshot that State was compiled
	// from.
	Lists int
	// Namespace returns the namespace of the Service of a backend in State, "" if State does
	// not have the backend; nil if none is known.
	Namespace func(backend string) string

	// Accepted means that podgate.toml or the certificates changed and the cluster
	// did not: what this State removes is not held.
	Accepted bool
	// Released means that podgate.toml names another cluster, or other Services: no
	// removal is held.
	Released bool
}

// Reconciler reconciles one HAProxy. It may not be used concurrently.
type Reconciler struct {
	runtime     *runtime.Client
	adminSocket string
	haproxy     check.HAProxy
	dir         confdir.Dir
	writer      *confdir.Writer
	now         func() time.Time
	alive       func()
	log         *slog.Logger
	config      Config

	// The observed HAProxy.
	process process
	have    haproxy.Running         // what it serves; valid only while process is known
	ours    bool                    // it has loaded a configuration of podgate, which is have.Loaded
	added   map[string]addedBackend // by name: backends added at run time, which the files may lack
	// inSpares are the names of the backends that have taken spares.
	inSpares []string
	// reloadedFor are the parts for which HAProxy was reloaded last, with a hash of what
	// was wanted of them.
	reloadedFor map[haproxy.Part]string
	local       LocalPeer

	// The schedule. The zero time is never.
	observeSoon time.Time // when to observe the process, earlier than after observeInterval
	resyncAt    time.Time // when to read everything back
	writeAt     time.Time // when to write what HAProxy serves to the file
	retry       backoff   // after a pass that failed
	deletes     deletes
	reload      reloadPlan
	slow        slowdown
	precheck    *precheck // nil for none
	states      serverStates
	operator    operator
	ticketKeys  ticketKeys

	// The stages that keep parts of a State from being applied.
	guard      *guard.Guard
	validated  validated
	quarantine quarantine

	// The last Want, and comparisons with it.
	certificates []haproxy.Certificate
	authorities  map[string][]byte
	relaySecret  string           // "" until it is needed
	differ       haproxy.Differ   // compares with have
	unknowns     haproxy.Unknowns // finds backends that are Unknown

	trouble   transition.Condition          // why the last pass failed
	noPeers   transition.Condition          // why HAProxy shares no stick table with other nodes
	noRelay   transition.Condition          // why there is no relay
	viaMaster transition.Condition          // why the admin socket is not used
	slowed    transition.Conditions[string] // namespaces that cause reload after reload

	count    Counters
	drifting int // how many of count.DriftFound are not repaired yet
}

// New returns a Reconciler. It does nothing before the first Reconcile.
func New(h Host, c Config) *Reconciler {
	return &Reconciler{
		runtime: h.Runtime, adminSocket: h.AdminSocket, haproxy: h.Check, dir: h.Dir, writer: confdir.NewWriter(h.Dir), now: h.Now, alive: h.Alive, log: h.Log,
		config:    c,
		local:     HostPeer(),
		guard:     guard.New(c.Limits, h.Dir, h.Now, h.Log),
		validated: validated{good: map[string]bool{}, bad: map[string]string{}},
	}
}

// SetConfig replaces the Config.
func (r *Reconciler) SetConfig(c Config) {
	r.config = c
	r.guard.SetLimits(c.Limits)
}

// Reconcile changes HAProxy towards w as far as is possible now, and logs the changes. A
// change that failed is retried: call Reconcile again at Result.Next, or when Want
// changes. When ctx ends, a change that began is completed.
func (r *Reconciler) Reconcile(ctx context.Context, w Want) Result {
	began := r.now()
	if w.Accepted {
		r.guard.Accept(w.State)
	}
	if w.Released {
		r.guard.Release()
	}
	r.guard.CountList(w.Lists)
	r.setHealth(w.Up, w.Polled)
	r.certificates = w.Certificates
	var result Result
	err := errors.Join(r.writeAuthorities(w.Authorities), r.reconcile(ctx, w, &result))
	if ctx.Err() != nil {
		err = nil // the pass failed because podgate stops
	}
	if err != nil {
		r.retry.later(r.now())
	}
	if err != nil || !r.reload.rejected() {
		r.report(err)
	}
	r.countDrift(result.Drift, err == nil)
	result.Err = err
	result.Took = r.now().Sub(began)
	result.Relist = r.guard.WantsList()
	result.Next = r.next()
	return result
}

// reconcile is one pass: observe HAProxy, change what the runtime API can change,
// reload HAProxy if that is due, and write what HAProxy serves to the files.
func (r *Reconciler) reconcile(ctx context.Context, w Want, result *Result) error {
	session := r.runtime.Session(ctx)
	defer session.Close()
	want, err := r.prepare(ctx, session, w, result)
	switch {
	case err != nil && ctx.Err() != nil:
		return err // podgate stops; HAProxy may answer
	case err != nil && want.HasUnknown():
		return errors.Join(err, r.loseServerStates())
	case err != nil:
		return errors.Join(err, r.writeForStart(ctx, want), r.loseServerStates())
	}
	r.findPeer(ctx, want.Settings.Peers)
	loadable := r.loadable(want)
	rejected, err := r.change(ctx, session, loadable, result)
	if err != nil {
		return err
	}
	if err := r.keepServerStates(ctx, session); err != nil {
		return err
	}
	switch due := r.reloadDue(ctx, loadable, w.Namespace); {
	case !due:
		r.startPrecheck(ctx, loadable)
	case !r.waitsForPeers(ctx, session):
		loaded, err := r.reloadWith(ctx, want, result)
		if err != nil {
			return errors.Join(rejected, err, r.writeFiles())
		}
		if rejected, err = r.changeAfterReload(ctx, loaded, result); err != nil {
			return err
		}
	}
	return errors.Join(rejected, r.rotateTicketKeys(ctx), r.writeFiles())
}

// next returns when to call Reconcile although nothing changed.
func (r *Reconciler) next() time.Time {
	next := r.now().Add(observeInterval)
	for _, at := range []time.Time{r.observeSoon, r.writeAt, r.retry.at, r.deletes.at, r.nextReload(), r.nextSlow(), r.nextServerStates(), r.guard.Next()} {
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}

// nextReload is when a reload, or its precheck, is due; zero if neither is, and
// while there is no process to reload.
func (r *Reconciler) nextReload() time.Time {
	switch {
	case !r.process.known():
		return time.Time{}
	case r.precheck == nil && !r.reload.precheckAt().IsZero():
		return r.reload.precheckAt()
	}
	return r.reload.at
}

// nextSlow is when the first of the reasons that wait in slow may cause a reload; zero if no
// reason waits, and while there is no process to reload.
func (r *Reconciler) nextSlow() time.Time {
	if !r.process.known() {
		return time.Time{}
	}
	return r.slow.until
}

// Close writes what HAProxy serves to the files, and waits for the write. HAProxy
// continues to serve.
func (r *Reconciler) Close() {
	if check := r.precheck; check != nil {
		r.stopPrecheck()
		<-check.done
	}
	r.writer.Wait()
	if !r.writeAt.IsZero() {
		r.writeAt = r.now()
		_ = r.writeFiles() // r.writer.Err() has the error
		r.writer.Wait()
	}
	r.report(errors.Join(r.writer.Err(), r.endServerStates()))
}

// report logs when reconciling begins to fail, and when it succeeds again. If the process
// was replaced during a change, that is no failure: the next pass observes the new
// process and repeats the change.
func (r *Reconciler) report(err error) {
	reason := ""
	switch {
	case errors.Is(err, runtime.ErrProcessChanged):
		r.log.Info("HAProxy was reloaded by someone else during a change; retrying")
		return
	case err != nil:
		reason = err.Error()
	}
	switch began, ended := r.trouble.Set(reason); {
	case began:
		r.log.Error("HAProxy is out of sync", "err", err)
	case ended:
		r.log.Info("HAProxy is in sync again")
	}
}

// countDrift counts the drift that was found, and as repaired all drift so far if the
// pass succeeded.
func (r *Reconciler) countDrift(found int, repaired bool) {
	r.drifting += found
	r.count.DriftFound += uint64(found)
	if repaired {
		r.count.DriftRepaired += uint64(r.drifting)
		r.drifting = 0
	}
}
