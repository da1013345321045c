// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"time"

	"podgate/haproxy/runtime"
)

const (
	// deletesAtOnce is of how many backends servers are deleted in one pass: HAProxy
	// stops all its threads for each, and new servers wait meanwhile.
	deletesAtOnce = 16
	// deletesPause is the time between two such passes.
	deletesPause = 10 * time.Millisecond
)

// deletes says when the servers that left, and had connections when they did, are
// tried to be deleted: all of them, a few in each pass, and those that still have
// connections again after a while.
type deletes struct {
	leaving int // servers that waited for their last connection when all were last tried

	at      time.Time // when the next pass is due; zero while none waits
	backoff backoff   // from the end of one round to the next
	left    int       // backends that the present round has yet to try
	met     int       // servers that it found with connections
	again   bool      // it met something that is to be tried again
}

// due returns of how many backends servers are to be deleted now, and whether it
// is time for any. Waiting is how many backends have some.
func (d *deletes) due(waiting int) (n int, now bool) {
	if time.Now().Before(d.at) {
		return 0, false
	}
	if d.left == 0 {
		d.left = waiting
	}
	d.left -= min(d.left, deletesAtOnce)
	return deletesAtOnce, true
}

// tried takes what became of them. Waiting is of how many backends servers are
// yet to be tried.
func (d *deletes) tried(applied runtime.Applied, waiting int) {
	d.met += len(applied.Pending)
	d.again = d.again || len(applied.Pending)+len(applied.Lingering) > 0
	if d.left = min(d.left, waiting); d.left > 0 {
		d.at = time.Now().Add(deletesPause)
		return
	}
	d.leaving = d.met
	if d.again {
		d.backoff.later()
	} else {
		d.backoff.reset()
	}
	d.at, d.met, d.again = d.backoff.at, 0, false
}
