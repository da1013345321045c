// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// usualPercent is how much of what is in use may be added before it is
	// collected, to begin with and where everything is polled: at 100,000 endpoints
	// Go's default of 100 costs 20 MB more than this.
	usualPercent = 50
	// gcHeadroom is about how many bytes may be added instead, whatever is in use,
	// where changes come by watches: most of what podgate holds is the cluster then,
	// which hardly changes, and an edge box is small. At 100,000 endpoints that
	// costs a percent of a core while pods come and go all the time.
	gcHeadroom     = 5 << 20
	gcLeastPercent = 15
	gcMostPercent  = 100
	// gcInterval is how often it is looked how much is in use.
	gcInterval = 5 * time.Second
	// gcEnough is how far the percentage must be off to be set: that stops
	// everything for a moment.
	gcEnough = 3
)

// collector sets how memory is collected, unless $GOGC does.
type collector struct {
	percent int // in force; zero where $GOGC is
	lookAt  time.Time
}

func newCollector() collector {
	if os.Getenv("GOGC") != "" {
		return collector{}
	}
	debug.SetGCPercent(usualPercent)
	return collector{percent: usualPercent, lookAt: time.Now().Add(gcInterval)}
}

// tune follows how much is in use, where that is time.
func (c *collector) tune(polling bool) {
	now := time.Now()
	if c.percent == 0 || now.Before(c.lookAt) {
		return
	}
	c.lookAt = now.Add(gcInterval)
	percent := usualPercent
	if !polling {
		percent = gcPercent(heapInUse())
	}
	if percent < c.percent-gcEnough || percent > c.percent+gcEnough {
		c.percent = percent
		debug.SetGCPercent(percent)
	}
}

// gcPercent is how much of what is in use, in bytes, may be added before it is
// collected.
func gcPercent(inUse uint64) int {
	return int(min(max(gcHeadroom*100/max(inUse, 1), gcLeastPercent), gcMostPercent))
}

// heapInUse is what the last collection found to be in use, in bytes.
func heapInUse() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}
