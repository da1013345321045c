// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"fmt"
	"math"
	"math/bits"
	"time"

	"podgate/haproxy"
)

// otherServers is how many checked servers the operator's files may have.
const otherServers = 1024

// spreadChecks are the lines of the global section without which HAProxy would
// send many of its first health checks at once. It means to spread them over the
// check interval, and multiplies that by the number of servers to do so, both in
// milliseconds, in an int: where the product does not fit in one, half of them
// are due in its first moment, and the new process answers nobody meanwhile. A
// shorter spread fits. It changes with the powers of two of the number alone, so
// that the file seldom does.
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
