// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"time"

	"podgate/haproxy/runtime"
)

const (
	// deletesAtOnce is the number of backends whose servers are deleted in one pass:
	// HAProxy stops all its threads for each, and new servers wait meanwhile.
	deletesAtOnce = 16
	// deletesPause is the time between two such passes.
	deletesPause = 10 * time.Millisecond
)

// deletes schedules the deletes of servers that were taken out while they had
// connections. A round tries all of them, a few backends in each pass; servers that
// still have connections are tried again in the next round.
type deletes struct {
	leaving int // servers that had connections in the last round

	at      time.Time // of the next pass; zero for none
	backoff backoff   // from the end of one round to the next
	left    int       // backends that the present round has yet to try
	met     int       // servers with connections in the present round
	again   bool      // something in the present round is to be tried again
}

// due returns the number of backends whose servers are to be deleted now, and
// whether it is time to. waiting is the number of backends that have some.
func (d *deletes) due(now time.Time, waiting int) (n int, due bool) {
	if now.Before(d.at) {
		return 0, false
	}
	if d.left == 0 {
		d.left = waiting
	}
	d.left -= min(d.left, deletesAtOnce)
	return deletesAtOnce, true
}

// tried records what became of the deletes. waiting is the number of backends that
// are yet to be tried.
func (d *deletes) tried(now time.Time, applied runtime.Applied, waiting int) {
	d.met += len(applied.Pending)
	d.again = d.again || len(applied.Pending)+len(applied.Lingering) > 0
	if d.left = min(d.left, waiting); d.left > 0 {
		d.at = now.Add(deletesPause)
		return
	}
	d.leaving = d.met
	if d.again {
		d.backoff.later(now)
	} else {
		d.backoff.reset()
	}
	d.at, d.met, d.again = d.backoff.at, 0, false
}
