// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"reflect"
	"time"

	"podgate/haproxy"
)

// precheckValid is how long a precheck counts after its end: the operator may
// change the other files at any time.
const precheckValid = time.Second

// precheck is "haproxy -c" that runs while a reload waits for more reasons, so that
// the reload need not wait for it as well.
type precheck struct {
	of   haproxy.State
	stop context.CancelFunc
	done chan struct{} // closed at its end, after what follows was written

	ended time.Time
	err   error
}

// startPrecheck starts to check want, when it is time and unless that runs already.
func (r *Reconciler) startPrecheck(ctx context.Context, want haproxy.State) {
	if at := r.reload.precheckAt(); at.IsZero() || r.now().Before(at) {
		r.stopPrecheck()
		return
	}
	of := unchecked(want, r.have)
	if r.precheck.isOf(of) {
		return
	}
	r.stopPrecheck()
	ctx, stop := context.WithCancel(ctx)
	check := &precheck{of: of, stop: stop, done: make(chan struct{})}
	r.precheck = check
	go func() {
		defer close(check.done)
		check.err = r.haproxy.State(ctx, of)
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

func (p *precheck) isOf(s haproxy.State) bool { return p != nil && reflect.DeepEqual(p.of, s) }

// passed waits for the end of a precheck of s, and reports whether it passed a short
// time ago. That of a nil precheck is false.
func (p *precheck) passed(now func() time.Time, s haproxy.State) bool {
	if !p.isOf(s) {
		return false
	}
	<-p.done
	return p.err == nil && now().Sub(p.ended) < precheckValid
}
