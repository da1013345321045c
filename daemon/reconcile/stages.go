// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// prepare observes HAProxy, and turns the State that was compiled into the one that
// is applied. This is the only list of the stages in between; the order matters.
//
// It returns an error if HAProxy does not answer. The State is then the one that
// HAProxy should start with, unless that has Unknown backends.
//
// The last stage is loadable, the quarantine: a reload finds more backends to set
// aside, and repeats that stage alone. After a reload no stage is repeated: what was
// loaded is what is applied.
func (r *Reconciler) prepare(ctx context.Context, session *runtime.Session, w Want, result *Result) (want haproxy.State, err error) {
	want = w.State

	// 1. Certificates and node: first, because they do not depend on HAProxy, and the
	// observation compares them with what HAProxy has.
	want.Certificates, want.Node = w.Certificates, w.Node
	want = r.withStateFile(want) // before the observation, like the relay secret

	// 2. Relay secret: before the observation, which identifies the configuration of
	// a process by all that only a reload changes. The secret is part of that.
	want = r.withRelaySecret(ctx, want)

	err = r.observe(ctx, session, want, result)

	// 3. Capability: after the observation, which finds out what the process can do.
	// If HAProxy does not answer, it is that of the last process.
	want.RuntimeBackends = r.have.AddsBackends

	// 4. Unknown servers: before the guard, which would see a removal. If HAProxy does
	// not answer, only the files contain these servers, and so must not change.
	switch {
	case err == nil && r.unknowns.In(want):
		want = want.KeepUnknown(r.have.Servers)
	case err != nil && want.HasUnknown():
		return want, err
	}

	// 5. Removal guard: before all stages that remove something because HAProxy rejects
	// it, which is no removal by the cluster.
	r.beginGuard()
	want = r.guard.Hold(want)

	// 6. Validated certificates: before the quarantine, which validates the configuration
	// without any certificate.
	return r.withValidCertificates(ctx, want), err
}

// loadable is the last stage of prepare. It returns want with the backends in
// quarantine as they are loaded. A backend leaves the quarantine when something else
// is wanted of it, so all other stages come before. If HAProxy does not answer, only
// validate uses it, for a configuration that was not loaded before.
func (r *Reconciler) loadable(want haproxy.State) haproxy.State {
	return r.quarantine.filter(r.now(), want, r.have.Loaded)
}

// beginGuard initialises the guard, once, with what was in service when podgate
// started.
func (r *Reconciler) beginGuard() {
	switch {
	case r.guard.Begun():
	case r.ours && r.process.known():
		r.guard.Begin(r.have.State())
	default:
		r.guard.Begin(r.dir.Serving())
	}
}
