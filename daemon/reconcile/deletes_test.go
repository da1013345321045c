// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"testing"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// TestARoundOfDeletesTriesEveryBackend has 40 backends, some of whose servers cannot be
// deleted yet.
func TestARoundOfDeletesTriesEveryBackend(t *testing.T) {
	var d deletes
	now := time.Now()
	pending := func(n int) runtime.Applied {
		return runtime.Applied{Pending: make([]haproxy.ServerChange, n)}
	}
	for i, pass := range []struct {
		waiting int // backends, when the pass begins
		busy    int // servers that have connections
		pause   time.Duration
		leaving int
	}{
		{40, 16, deletesPause, 0},
		{24, 3, deletesPause, 0},
		{8, 0, firstRetry, 19},
		{19, 2, deletesPause, 19}, // the next round
		{3, 0, 2 * firstRetry, 2},
		{2, 0, 0, 0}, // all are deleted
		{0, 0, 0, 0},
		{0, 1, firstRetry, 1}, // another server is in maint
	} {
		if n, now := d.due(now, pass.waiting); n != deletesPerPass || !now {
			t.Fatalf("pass %d: due: %d, %v", i, n, now)
		}
		d.tried(now, pending(pass.busy), max(0, pass.waiting-deletesPerPass))
		pause := time.Duration(0)
		if !d.at.IsZero() {
			pause = d.at.Sub(now)
		}
		if pause != pass.pause || d.leaving != pass.leaving {
			t.Fatalf("pass %d: the next in %v, %d servers leave, want %v and %d", i, pause, d.leaving, pass.pause, pass.leaving)
		}
		if n, now := d.due(now, 9); pause > 0 && (n != 0 || now) {
			t.Fatalf("pass %d: due again immediately", i)
		}
		now = now.Add(pause)
	}
}
