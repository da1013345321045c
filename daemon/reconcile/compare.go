// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"

	"podgate/haproxy"
)

// Comparison is how HAProxy differs from what is wanted.
type Comparison struct {
	Ours    bool            // HAProxy has loaded a configuration of podgate; if not, Have and Plan are not valid
	Have    haproxy.Running // what HAProxy serves
	Want    haproxy.State   // the wanted State; Unknown backends have the servers that HAProxy has
	Plan    haproxy.Plan    // what Reconcile would change at run time
	Reasons haproxy.Reasons // why Reconcile would reload HAProxy; nil if it would not
}

// Compare returns how HAProxy differs from want. It changes nothing.
func (r *Reconciler) Compare(ctx context.Context, want haproxy.State) (Comparison, error) {
	want = r.withStateFile(want)
	session := r.runtime.Session(ctx)
	defer session.Close()
	if err := r.observe(ctx, session, want, new(Result)); err != nil {
		return Comparison{}, err
	}
	want.RuntimeBackends = r.have.AddsBackends
	want = want.KeepUnknown(r.have.Servers)
	c := Comparison{Ours: r.ours, Have: r.have, Want: want, Reasons: r.reloadReasons(want)}
	if r.ours {
		c.Plan = haproxy.Diff(r.have, want)
	}
	return c, nil
}
