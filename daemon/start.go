// SPDX-License-Identifier: Apache-2.0

package daemon

import "time"

// start is the time from the start of podgate until HAProxy serves the cluster.
type start struct {
	began   time.Time
	listed  time.Time     // when the first Snapshot was complete; zero before
	compile time.Duration // of all passes so far
	done    bool
}

// reportStart logs how long the start took and in which parts, and returns true, once.
// Objects that HAProxy cannot load do not delay it: they are reported as problems. A part
// may overlap with others, and there are pauses between them.
func (d *Daemon) reportStart() bool {
	s := &d.start
	if s.done || !d.status.Serves {
		return false
	}
	s.done = true
	spent := d.status.Counters.Spent
	d.Log.Info("start completed", "took", rounded(time.Since(s.began)), "list", rounded(s.listed.Sub(s.began)), "compile", rounded(s.compile),
		"render", rounded(spent.Render), "check", rounded(spent.Check), "load", rounded(spent.Load), "read_back", rounded(spent.ReadBack),
		"backends", d.status.Backends)
	return true
}

func rounded(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
