// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// prepare observes HAProxy, and turns what was compiled into what is applied. This
// is the only list of the stages between the two. The error says that HAProxy does
// not answer; want is then what it should start with, unless it has Unknown
// backends.
//
// The last stage, the quarantine, is loadable: a reload finds more to set aside,
// and repeats that stage alone. After a reload no stage is repeated: what HAProxy
// loaded is what is applied.
func (r *Reconciler) prepare(ctx context.Context, session *runtime.Session, w Want, result *Result) (want haproxy.State, err error) {
	want = w.State

	// What does not come from the cluster is part of what is wanted for all stages:
	// the drift of the node's map is measured by it.
	want.Certificates, want.Node = w.Certificates, w.Node

	// The secret is part of what only a reload changes. So it comes before HAProxy
	// is observed: a process that podgate did not load is recognised by that part.
	want = r.withRelaySecret(ctx, want)

	// The stages below depend on what HAProxy has.
	err = r.observe(ctx, session, want, result)

	// Where HAProxy does not answer, it is what the last process was capable of.
	want.RuntimeBackends = r.have.TakesBackends

	// Before the guard, for which servers that nobody knows are a removal. Where
	// HAProxy does not answer, they stand in the files only, which stay as they are.
	switch {
	case err == nil && r.unknowns.In(want):
		want = want.KeepUnknown(r.have.Servers)
	case err != nil && want.HasUnknown():
		return want, err
	}

	// Before all that takes something out of what is wanted for other reasons: that
	// is not a removal by the cluster.
	r.beginGuard()
	want = r.guard.Hold(want)

	// It runs haproxy -c on certificates that are new, and so comes after the guard,
	// which decides what is applied of the cluster, and before the quarantine, which
	// checks the rest without them.
	return r.withValidCertificates(ctx, want), err
}

// loadable is the last stage: want with the backends in quarantine as HAProxy has
// them. It compares them with what was wanted when they were set aside, so every
// other stage comes before it. Where HAProxy does not answer, it is left out for a
// configuration that was loaded before.
func (r *Reconciler) loadable(want haproxy.State) haproxy.State {
	return r.quarantine.filter(r.now(), want, r.have.Loaded)
}

// beginGuard tells the guard, once, what was in service when podgate started.
func (r *Reconciler) beginGuard() {
	switch {
	case r.guard.Begun():
	case r.ours && r.process.known():
		r.guard.Begin(r.have.State())
	default:
		r.guard.Begin(r.dir.Serving())
	}
}
