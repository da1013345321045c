// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"slices"
	"time"

	"podgate/haproxy"
)

// Counters is what podgate has done since it was started. The loop counts, and
// hands out copies.
type Counters struct {
	Applies       [2][2]uint64                // by Method and Outcome
	Reloads       [haproxy.ReloadKinds]uint64 // by the weightiest kind of their reasons
	DriftFound    uint64
	DriftRepaired uint64
	LastApply     time.Time // that changed something and went well; zero for none
	Latency       [2]Histogram
}

// Method is how something is applied.
type Method int

// The methods.
const (
	Runtime Method = iota
	Reload
)

// Methods names them for labels.
func Methods() []string { return []string{"runtime", "reload"} }

// Outcome is how an apply ended.
type Outcome int

// The outcomes. Failed is also of what HAProxy refused in part.
const (
	OK Outcome = iota
	Failed
)

// Outcomes names them for labels.
func Outcomes() []string { return []string{"ok", "failed"} }

// Histogram counts durations in buckets.
type Histogram struct {
	Counts [14]uint64 // of each bucket alone; the last is for all that is longer
	Sum    time.Duration
}

// Buckets are the upper bounds of a Histogram's buckets but the last.
func Buckets() []time.Duration {
	const ms = time.Millisecond
	return []time.Duration{
		5 * ms, 10 * ms, 20 * ms, 50 * ms, 100 * ms, 200 * ms, 500 * ms,
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
	}
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	i, _ := slices.BinarySearch(Buckets(), d)
	h.Counts[i]++
	h.Sum += d
}
