// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestCoalescer(t *testing.T) {
	for _, tt := range []struct {
		name    string
		changes []time.Duration // from the start
		want    []time.Duration // when a Snapshot is due for them
	}{
		{"a change after a pause is sent immediately", []time.Duration{0, time.Second}, []time.Duration{0, time.Second}},
		{"a change directly after another one waits", []time.Duration{0, time.Millisecond}, []time.Duration{0, coalesceInterval}},
		{"a burst is sent twice: its first change, then all later ones",
			[]time.Duration{0, 1e6, 2e6, 3e6, 4e6, 19e6}, []time.Duration{0, coalesceInterval}},
		{"continuous changes are sent once per interval",
			[]time.Duration{0, 10e6, 21e6, 31e6, 45e6}, []time.Duration{0, coalesceInterval, 2 * coalesceInterval, 3 * coalesceInterval}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var lock sync.Mutex
				var got []time.Duration
				next := coalescer{lock: &lock, send: func() { got = append(got, time.Since(began)) }}
				for _, at := range tt.changes {
					time.Sleep(time.Until(began.Add(at)))
					lock.Lock()
					next.changed()
					lock.Unlock()
				}
				time.Sleep(time.Minute)
				lock.Lock()
				defer lock.Unlock()
				if !slices.Equal(got, tt.want) {
					t.Errorf("sent at %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestNothingIsSentAfterStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lock sync.Mutex
		sent := 0
		next := coalescer{lock: &lock, send: func() { sent++ }}
		lock.Lock()
		next.changed()
		next.changed()
		next.stop()
		lock.Unlock()
		time.Sleep(time.Minute)
		if sent != 1 {
			t.Errorf("it sent %d times, want once", sent)
		}
	})
}
