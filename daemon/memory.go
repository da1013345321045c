// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"os"
	"runtime/debug"
)

// gcPercent is how much of what is in use may be added before it is collected.
// Most of what podgate holds is the cluster, which hardly changes, and an edge
// box is small: at 100,000 endpoints Go's default of 100 costs 20 MB more than
// this, and saves a percent of a core while pods come and go all the time.
const gcPercent = 50

// tuneMemory sets how memory is collected, unless $GOGC does.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
