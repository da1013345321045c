// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"sync"
	"time"

	"podgate/daemon"
	"podgate/daemon/edgetest"
)

// count counts what has happened so far.
type count struct {
	edgetest.Report
	began     time.Time     // when the clients did
	elapsed   time.Duration // since then
	endpoints int           // changes: added, terminating, removed
	services  int           // added since the clients began
	applies   int           // passes that changed something by HAProxy's runtime API
	reloads   int           // of HAProxy
	reasons   []note        // of the first reloads
}

// note is an event that the summary repeats.
type note struct {
	at   time.Duration // since the clients began
	text string
}

// keptReasons is how many reasons of reloads are kept.
const keptReasons = 12

// tally counts. Its methods may be called concurrently.
type tally struct {
	mu     sync.Mutex
	report func() edgetest.Report // of the clients; nil before they began
	ended  time.Time              // zero before the clients ended
	count  count                  // without Report and elapsed
}

// begin starts the clock, and sets the function that reports the clients' requests.
func (t *tally) begin(report func() edgetest.Report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report, t.count.began = report, time.Now()
}

// end stops the clock.
func (t *tally) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = time.Now()
}

// now returns what was counted so far.
func (t *tally) now() count {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.count
	if t.report != nil {
		c.Report = t.report()
	}
	c.elapsed = t.elapsed()
	return c
}

// elapsed is zero before begin. The caller holds t.mu.
func (t *tally) elapsed() time.Duration {
	switch {
	case t.count.began.IsZero():
		return 0
	case t.ended.IsZero():
		return time.Since(t.count.began)
	}
	return t.ended.Sub(t.count.began)
}

// add counts changes of endpoints and new Services.
func (t *tally) add(endpoints, services int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count.endpoints += endpoints
	t.count.services += services
}

// pass counts what podgate changed in HAProxy.
func (t *tally) pass(p daemon.Pass) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.Added+p.Maps+p.Left > 0 {
		t.count.applies++
	}
	if len(p.Reload) > 0 {
		t.count.reloads++
		if len(t.count.reasons) < keptReasons {
			t.count.reasons = append(t.count.reasons, note{t.elapsed(), p.Reload.String()})
		}
	}
}
