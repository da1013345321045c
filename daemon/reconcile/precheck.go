// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"reflect"
	"time"

	"podgate/haproxy"
)

// precheckValid is how long the result of a precheck is valid: the operator may change
// their files at any time.
const precheckValid = time.Second

// precheck is a haproxy -c that runs while a reload waits for more reasons, so that the
// reload does not wait for the check.
type precheck struct {
	state haproxy.State // that is checked
	stop  context.CancelFunc
	done  chan struct{} // closed when ended and err are set

	began, ended time.Time
	err          error
}

// startPrecheck starts to check want, if that is due and does not run already.
func (r *Reconciler) startPrecheck(ctx context.Context, want haproxy.State) {
	if at := r.reload.precheckAt(); at.IsZero() || r.now().Before(at) {
		r.stopPrecheck()
		return
	}
	state := unchecked(want, r.have)
	if r.precheck.checks(state) {
		return
	}
	r.stopPrecheck()
	ctx, stop := context.WithCancel(ctx)
	check := &precheck{state: state, began: r.now(), stop: stop, done: make(chan struct{})}
	r.precheck = check
	go func() {
		defer close(check.done)
		check.err = r.haproxy.State(ctx, state)
		check.ended = r.now()
	}()
}

// stopPrecheck stops the precheck, without waiting for its end.
func (r *Reconciler) stopPrecheck() {
	if r.precheck != nil {
		r.precheck.stop()
		r.precheck = nil
	}
}

func (p *precheck) checks(s haproxy.State) bool { return p != nil && reflect.DeepEqual(p.state, s) }

// passed waits for the end of the precheck if it checks s, and reports whether it passed
// less than precheckValid ago. A nil precheck has not passed.
func (p *precheck) passed(now func() time.Time, s haproxy.State) bool {
	if !p.checks(s) {
		return false
	}
	<-p.done
	return p.err == nil && now().Sub(p.ended) < precheckValid
}
