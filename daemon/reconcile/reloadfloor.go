// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"time"
)

const (
	// reloadShare makes reloads use at most one third of the time.
	reloadShare = 3
	// freeOldWorkers is how many old workers do not extend the floor: the worker that the
	// last reload replaced usually ends a few seconds later.
	freeOldWorkers = 1
	// oldWorkersInterval is how often podgate reads the number of old workers while a reload
	// waits.
	oldWorkersInterval = time.Second
)

// ReloadCost is what reloads cost, and so the minimum time between two of them. The zero
// ReloadCost is that before the first reload.
type ReloadCost struct {
	Took       time.Duration // the last reload, with the validation of the files
	OldWorkers int           // that ran when a reload was last needed
}

// Floor is the minimum time from the beginning of a reload to that of the next one, and
// at most this long: reloadShare times as long as the last one took, and twice as long
// for each old worker over freeOldWorkers. An old worker uses as much memory as the
// worker that serves until its last connection ends, and mworker-max-reloads ends it if
// reloads follow each other quickly.
func (c ReloadCost) Floor(most time.Duration) time.Duration {
	floor := reloadShare * c.Took
	for range c.OldWorkers - freeOldWorkers {
		if floor >= most {
			break
		}
		floor *= 2
	}
	return min(floor, most)
}

// askOldWorkers reads how many old workers run, if that may make a reload wait, and not in
// every pass.
func (r *Reconciler) askOldWorkers(ctx context.Context) {
	now, p := r.now(), &r.reload
	if now.Before(p.last.Add(r.config.ReloadInterval)) && now.Sub(p.asked) >= oldWorkersInterval {
		p.asked, p.cost.OldWorkers = now, r.runtime.OldWorkers(ctx)
	}
}
