// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"testing"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/runtime"
)

// TestARoundOfDeletesGoesThroughAllThatWait is about 40 backends, of which some
// have servers that cannot be deleted yet.
func TestARoundOfDeletesGoesThroughAllThatWait(t *testing.T) {
	var d deletes
	now := time.Now()
	pending := func(n int) runtime.Applied {
		return runtime.Applied{Pending: make([]haproxy.ServerChange, n)}
	}
	for i, pass := range []struct {
		waiting int // backends, when the pass begins
		met     int // servers that have connections
		pause   time.Duration
		leaving int
	}{
		{40, 16, deletesPause, 0},
		{24, 3, deletesPause, 0},
		{8, 0, firstRetry, 19},
		{19, 2, deletesPause, 19}, // the next round
		{3, 0, 2 * firstRetry, 2},
		{2, 0, 0, 0}, // all are gone
		{0, 0, 0, 0},
		{0, 1, firstRetry, 1}, // one leaves
	} {
		if n, now := d.due(now, pass.waiting); n != deletesAtOnce || !now {
			t.Fatalf("pass %d: due: %d, %v", i, n, now)
		}
		d.tried(now, pending(pass.met), max(0, pass.waiting-deletesAtOnce))
		pause := time.Duration(0)
		if !d.at.IsZero() {
			pause = d.at.Sub(now)
		}
		if pause != pass.pause || d.leaving != pass.leaving {
			t.Fatalf("pass %d: the next in %v, %d servers leave, want %v and %d", i, pause, d.leaving, pass.pause, pass.leaving)
		}
		if n, now := d.due(now, 9); pause > 0 && (n != 0 || now) {
			t.Fatalf("pass %d: due again at once", i)
		}
		now = now.Add(pause)
	}
}
