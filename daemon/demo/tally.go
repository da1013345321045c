// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"slices"
	"strings"
	"sync"
	"time"

	"podgate/daemon"
)

// count is what happened so far.
type count struct {
	elapsed   time.Duration // since the clients began
	requests  int
	failed    int // of the requests
	endpoints int // changes: added, terminating, removed
	services  int // added since the clients began
	applies   int // passes that changed something by HAProxy's runtime API
	reloads   int // of HAProxy

	failures []note // the first of them
	reasons  []note // of the first reloads
}

// note is something that is told again at the end.
type note struct {
	at   time.Duration // since the clients began
	text string
}

// keptNotes is how many notes of a sort are kept.
const keptNotes = 12

// tally counts. Its methods may be called concurrently.
type tally struct {
	mu    sync.Mutex
	began time.Time // zero before the clients began
	ended time.Time // zero before they ended
	count count     // but for elapsed
}

// begin starts the clock.
func (t *tally) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began = time.Now()
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
	c.failures, c.reasons = slices.Clone(c.failures), slices.Clone(c.reasons)
	c.elapsed = t.elapsed()
	return c
}

// elapsed is zero before begin. The caller holds t.mu.
func (t *tally) elapsed() time.Duration {
	switch {
	case t.began.IsZero():
		return 0
	case t.ended.IsZero():
		return time.Since(t.began)
	}
	return t.ended.Sub(t.began)
}

// request counts a request, failed or not.
func (t *tally) request() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count.requests++
}

// fail counts a failure, and reports whether it is one of the first.
func (t *tally) fail(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count.failed++
	return t.note(&t.count.failures, text)
}

func (t *tally) endpoints(changes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count.endpoints += changes
}

func (t *tally) service() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count.services++
}

// pass counts what podgate did to HAProxy.
func (t *tally) pass(p daemon.Pass) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.Added+p.Maps+p.Left > 0 {
		t.count.applies++
	}
	if len(p.Reload) > 0 {
		t.count.reloads++
		t.note(&t.count.reasons, strings.Join(p.Reload, ", "))
	}
}

// note keeps the first texts. The caller holds t.mu.
func (t *tally) note(notes *[]note, text string) bool {
	if len(*notes) == keptNotes {
		return false
	}
	*notes = append(*notes, note{t.elapsed(), text})
	return true
}
