// SPDX-License-Identifier: Apache-2.0

package daemon

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
func (e *edge) checkAhead(ctx context.Context, want haproxy.State) {
	if at := e.reload.aheadAt(); at.IsZero() || time.Now().Before(at) {
		e.dropAhead()
		return
	}
	of := untried(want, e.have)
	if e.ahead != nil && reflect.DeepEqual(e.ahead.of, of) {
		return
	}
	e.dropAhead()
	ctx, stop := context.WithCancel(ctx)
	check := &aheadCheck{of: of, stop: stop, done: make(chan struct{})}
	e.ahead = check
	go func() {
		defer close(check.done)
		check.passed = haproxyCheck(e.haproxy).State(ctx, of) == nil
		check.ended = time.Now()
	}()
}

// check has "haproxy -c" check what HAProxy has not taken yet of s, which may have been
// checked ahead. One that failed then proves nothing: it may have been stopped,
// or the operator was just writing.
func (e *edge) check(ctx context.Context, s haproxy.State) error {
	e.alive()
	s = untried(s, e.have)
	if ahead := e.ahead; ahead != nil && reflect.DeepEqual(ahead.of, s) {
		<-ahead.done
		if ahead.passed && time.Since(ahead.ended) < aheadValid {
			return nil
		}
	}
	e.dropAhead()
	return haproxyCheck(e.haproxy).State(ctx, s)
}

// dropAhead stops a check ahead, without waiting for its end.
func (e *edge) dropAhead() {
	if e.ahead != nil {
		e.ahead.stop()
		e.ahead = nil
	}
}
