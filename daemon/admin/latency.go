// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"slices"
	"time"
)

// Latency is how long changes took from the cluster to HAProxy, by how they were
// applied.
type Latency struct{ Runtime, Reload Histogram }

// Histogram counts durations in buckets.
type Histogram struct {
	Counts [14]uint64 // by bucket, not cumulative; the last has no upper bound
	Sum    time.Duration
}

// Buckets returns the upper bounds of a Histogram's buckets, without the last.
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
