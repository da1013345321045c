// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// usualPercent is GOGC at the start, and while the cluster is polled: at 100,000
	// endpoints Go's default of 100 costs 20 MB more.
	usualPercent = 50
	// gcHeadroom is how many bytes the heap may grow between two collections while the
	// cluster is watched. Most of the heap is the cluster then, which hardly changes,
	// and an edge machine is small. At 100,000 endpoints this takes one percent of a
	// core while pods are added and removed all the time.
	gcHeadroom     = 5 << 20
	gcLeastPercent = 15
	gcMostPercent  = 100
	// gcInterval is how often the size of the heap is measured.
	gcInterval = 5 * time.Second
	// gcEnough is how much the percentage must differ to be set again, because
	// debug.SetGCPercent stops all goroutines for a moment.
	gcEnough = 3
)

// collector sets the percentage of the garbage collector (GOGC), unless $GOGC does.
type collector struct {
	percent   int // in force; zero if $GOGC is
	measureAt time.Time
}

func newCollector() collector {
	if os.Getenv("GOGC") != "" {
		return collector{}
	}
	debug.SetGCPercent(usualPercent)
	return collector{percent: usualPercent, measureAt: time.Now().Add(gcInterval)}
}

// measureNow makes the next tune measure the heap, which hardly grows after a start.
func (c *collector) measureNow() { c.measureAt = time.Time{} }

// tune adjusts the percentage to the size of the heap, once in each gcInterval.
func (c *collector) tune(polling bool) {
	now := time.Now()
	if c.percent == 0 || now.Before(c.measureAt) {
		return
	}
	c.measureAt = now.Add(gcInterval)
	percent := usualPercent
	if !polling {
		percent = gcPercent(heapInUse())
	}
	if percent < c.percent-gcEnough || percent > c.percent+gcEnough {
		c.percent = percent
		debug.SetGCPercent(percent)
	}
}

// gcPercent is the percentage for a heap of that size in bytes.
func gcPercent(inUse uint64) int {
	return int(min(max(gcHeadroom*100/max(inUse, 1), gcLeastPercent), gcMostPercent))
}

// heapInUse is the live heap after the last collection, in bytes; zero before it.
func heapInUse() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}
