// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"reflect"
	"time"

	"podgate/haproxy"
)

const (
	// aheadQuiet is how long the reasons for a reload have to stay the same until
	// it is worth to check what would be loaded if nothing more came.
	aheadQuiet = gatherQuiet / 4
	// aheadValid is how long a check counts after its end: the operator may write
	// his files at any time.
	aheadValid = time.Second
)

// aheadCheck is a check that runs while a reload waits for more to come, so that
// the reload does not wait for it as well.
type aheadCheck struct {
	of   haproxy.State
	stop context.CancelFunc
	done chan struct{} // closed at its end, when the rest is written

	ended  time.Time
	passed bool
}

// aheadAt is when to check ahead; zero where no reload waits, or nobody knows for
// how long, or what is wanted was refused.
func (r *reloadPlan) aheadAt() time.Time {
	if r.at.IsZero() || r.learns || r.refused.err != nil {
		return time.Time{}
	}
	return r.at.Add(aheadQuiet - gatherQuiet)
}

// checkAhead begins to check want, which is to be loaded soon, when it is time
// and unless that is under way.
func (r *Reconciler) checkAhead(ctx context.Context, want haproxy.State) {
	if at := r.reload.aheadAt(); at.IsZero() || time.Now().Before(at) {
		r.dropAhead()
		return
	}
	of := untried(want, r.have)
	if r.ahead != nil && reflect.DeepEqual(r.ahead.of, of) {
		return
	}
	r.dropAhead()
	ctx, stop := context.WithCancel(ctx)
	check := &aheadCheck{of: of, stop: stop, done: make(chan struct{})}
	r.ahead = check
	go func() {
		defer close(check.done)
		check.passed = r.haproxy.State(ctx, of) == nil
		check.ended = time.Now()
	}()
}

// check has "haproxy -c" check what HAProxy has not taken yet of s, which may have been
// checked ahead. One that failed then proves nothing: it may have been stopped,
// or the operator was just writing.
func (r *Reconciler) check(ctx context.Context, s haproxy.State) error {
	r.alive()
	s = untried(s, r.have)
	if ahead := r.ahead; ahead != nil && reflect.DeepEqual(ahead.of, s) {
		<-ahead.done
		if ahead.passed && time.Since(ahead.ended) < aheadValid {
			return nil
		}
	}
	r.dropAhead()
	return r.haproxy.State(ctx, s)
}

// dropAhead stops a check ahead, without waiting for its end.
func (r *Reconciler) dropAhead() {
	if r.ahead != nil {
		r.ahead.stop()
		r.ahead = nil
	}
}
