// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"testing"
	"time"
)

func TestTheFloorFollowsWhatAReloadCosts(t *testing.T) {
	const ms = time.Millisecond
	for _, row := range []struct {
		name string
		cost ReloadCost
		most time.Duration
		want time.Duration
	}{
		{"there is none before the first reload", ReloadCost{OldWorkers: 4}, 30 * time.Second, 0},
		{"reloads use a third of the time", ReloadCost{Took: 200 * ms}, 30 * time.Second, 600 * ms},
		{"the worker that was replaced last does not count", ReloadCost{Took: 200 * ms, OldWorkers: 1}, 30 * time.Second, 600 * ms},
		{"each further old worker doubles it", ReloadCost{Took: 200 * ms, OldWorkers: 2}, 30 * time.Second, 1200 * ms},
		{"each further old worker doubles it again", ReloadCost{Took: 200 * ms, OldWorkers: 5}, 30 * time.Second, 9600 * ms},
		{"reload_interval bounds it", ReloadCost{Took: 200 * ms, OldWorkers: 7}, 30 * time.Second, 30 * time.Second},
		{"reload_interval bounds it with any number of old workers", ReloadCost{Took: 200 * ms, OldWorkers: 1000}, 10 * time.Minute, 10 * time.Minute},
		{"reload_interval bounds it for a slow reload", ReloadCost{Took: time.Minute}, 5 * time.Second, 5 * time.Second},
		{"reload_interval 0s is no floor", ReloadCost{Took: time.Minute, OldWorkers: 3}, 0, 0},
	} {
		if got := row.cost.Floor(row.most); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}
