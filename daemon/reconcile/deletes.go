// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"time"

	"podgate/haproxy/runtime"
)

const (
	// deletesPerPass is the number of backends whose servers are deleted in one pass:
	// HAProxy stops all its threads for each delete, and new servers wait meanwhile.
	deletesPerPass = 16
	// deletesPause is the time between two such passes.
	deletesPause = 10 * time.Millisecond
)

// deletes schedules the deletes of servers that were put into maint while they had
// connections. A round tries all of them, a few backends in each pass; the next round
// tries the servers that still have connections.
type deletes struct {
	leaving int // servers that had connections in the last round

	at      time.Time // of the next pass; zero for none
	backoff backoff   // from the end of one round to the next
	left    int       // backends that this round has not tried yet
	busy    int       // servers of this round that had connections
	again   bool      // a delete of this round must be tried again
}

// due returns whether a pass is due, and for how many backends. waiting is the number of
// backends that have servers to delete.
func (d *deletes) due(now time.Time, waiting int) (n int, due bool) {
	if now.Before(d.at) {
		return 0, false
	}
	if d.left == 0 {
		d.left = waiting
	}
	d.left -= min(d.left, deletesPerPass)
	return deletesPerPass, true
}

// tried records the outcome of a pass. waiting is the number of backends that have not
// been tried yet.
func (d *deletes) tried(now time.Time, applied runtime.Applied, waiting int) {
	d.busy += len(applied.Pending)
	d.again = d.again || len(applied.Pending)+len(applied.PendingBackends) > 0
	if d.left = min(d.left, waiting); d.left > 0 {
		d.at = now.Add(deletesPause)
		return
	}
	d.leaving = d.busy
	if d.again {
		d.backoff.later(now)
	} else {
		d.backoff.reset()
	}
	d.at, d.busy, d.again = d.backoff.at, 0, false
}
