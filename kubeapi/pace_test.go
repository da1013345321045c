// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) {
	for _, tt := range []struct {
		name    string
		changes []time.Duration // from the start
		want    []time.Duration // when a Snapshot is due for them
	}{
		{"a change after a while is sent at once", []time.Duration{0, time.Second}, []time.Duration{0, time.Second}},
		{"a change right behind another waits", []time.Duration{0, time.Millisecond}, []time.Duration{0, coalesce}},
		{"a burst is one at its beginning and one for the rest",
			[]time.Duration{0, 1e6, 2e6, 3e6, 4e6, 19e6}, []time.Duration{0, coalesce}},
		{"changes that go on are sent once in a while",
			[]time.Duration{0, 10e6, 21e6, 31e6, 45e6}, []time.Duration{0, coalesce, 2 * coalesce, 3 * coalesce}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var next pace
				var got []time.Duration
				end := time.After(time.Minute)
				for changes := tt.changes; ; {
					var change <-chan time.Time
					if len(changes) > 0 {
						change = time.After(time.Until(began.Add(changes[0])))
					}
					select {
					case <-change:
						changes = changes[1:]
						next.changed()
					case <-next.due:
						next.sent()
						got = append(got, time.Since(began))
					case <-end:
						if !slices.Equal(got, tt.want) {
							t.Errorf("sent at %v, want %v", got, tt.want)
						}
						return
					}
				}
			})
		})
	}
}
