// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"
	"math"
	"math/bits"
	"time"

	"podgate/haproxy"
)

// otherServers is the number of checked servers in the operator's files that
// spreadChecks allows for.
const otherServers = 1024

// spreadChecks returns a line of the global section; "" if HAProxy spreads its first
// health checks without it.
//
// HAProxy spreads them over the check interval. For this it multiplies the interval in
// milliseconds by the number of servers, in an int. If that overflows, half of the
// checks are due immediately, and the new process serves no client while it sends
// them. With a shorter spread the product fits. The spread depends only on the power of
// two above the number of servers, so that the file seldom changes.
func spreadChecks(backends haproxy.Backends) string {
	servers, longest := otherServers, time.Duration(0)
	for _, b := range backends.All() {
		if b.Options.Check {
			servers += len(b.Servers)
			longest = max(longest, b.Options.CheckInterval)
		}
	}
	most := math.MaxInt32 >> bits.Len(uint(servers))
	if longest.Milliseconds() <= int64(most) {
		return ""
	}
	return fmt.Sprintf("  max-spread-checks %d\n", most)
}
