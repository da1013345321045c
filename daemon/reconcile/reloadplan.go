// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"slices"
	"time"

	"podgate/haproxy"
)

const (
	// A burst of changes becomes one reload: it is due when its reasons have been
	// the same for gatherQuiet, or gatherMost after the first.
	gatherQuiet = 100 * time.Millisecond
	gatherMost  = 500 * time.Millisecond
	// precheckQuiet is how long the reasons have to be the same before the reload is
	// checked in advance.
	precheckQuiet = gatherQuiet / 4
	// retryPause is how long the same configuration is not loaded again after it could
	// not be loaded.
	retryPause = time.Minute
)

// reloadPlan is when HAProxy is to be reloaded next. The zero reloadPlan is never.
type reloadPlan struct {
	at      time.Time // when it is due; zero if there is no reason
	ready   time.Time // when its reasons are gathered
	since   time.Time // of the first reason
	reasons haproxy.Reasons
	waits   bool      // until HAProxy has learned its stick tables
	last    time.Time // when HAProxy was reloaded last
	failed  failure

	cost  ReloadCost
	asked time.Time // when the number of old workers was read
}

// failure is a configuration that could not be loaded. It is zero if the last one was loaded.
type failure struct {
	generation string
	err        error
	until      time.Time // when it may be tried again
}

// due records the present reasons for a reload, and reports whether it is time for
// one: after the reasons have settled, and floor after the last reload.
func (p *reloadPlan) due(now time.Time, reasons haproxy.Reasons, floor time.Duration) bool {
	same := slices.Equal(reasons, p.reasons)
	p.reasons = reasons
	switch {
	case len(reasons) == 0:
		p.at = time.Time{}
		return false
	case p.at.IsZero():
		p.since, p.waits, p.ready = now, false, now.Add(gatherQuiet)
	case !same && now.Before(p.at):
		p.ready = earlier(now.Add(gatherQuiet), p.since.Add(gatherMost))
	}
	p.at = later(p.ready, p.last.Add(floor))
	return !now.Before(p.at)
}

// postpone makes a reload that is due wait until HAProxy has learned its stick tables.
func (p *reloadPlan) postpone(until time.Time) {
	p.at, p.ready, p.waits = until, until, true
}

// precheckAt is when to check the reload in advance; zero if no reload is planned,
// if it waits for HAProxy, and if what is wanted could not be loaded.
func (p *reloadPlan) precheckAt() time.Time {
	if p.at.IsZero() || p.waits || p.failed.err != nil {
		return time.Time{}
	}
	return p.at.Add(precheckQuiet - gatherQuiet)
}

// begin records that a reload begins. One that loads no backend, as before the
// cluster is known, delays no other.
func (p *reloadPlan) begin(now time.Time, want haproxy.State) {
	p.at, p.waits = time.Time{}, false
	if want.Backends.Len() > 0 {
		p.last = now
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// fail records that a configuration could not be loaded.
func (p *reloadPlan) fail(now time.Time, generation string, err error) {
	p.failed = failure{generation, err, now.Add(retryPause)}
}

// succeed records that HAProxy was reloaded.
func (p *reloadPlan) succeed() { p.reasons, p.failed = nil, failure{} }

// rejected reports whether what is wanted could not be loaded. A pass before the next
// attempt changes nothing about that.
func (p *reloadPlan) rejected() bool { return len(p.reasons) > 0 && p.failed.err != nil }

// rejects returns the error of a configuration that could not be loaded a short
// time ago; nil for any other.
func (p *reloadPlan) rejects(now time.Time, generation string) error {
	if p.failed.generation == generation && now.Before(p.failed.until) {
		return p.failed.err
	}
	return nil
}
