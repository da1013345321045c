// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"time"

	"podgate/daemon/health"
)

// Hurry has HAProxy asked often for the health of its servers, and Problems with it
// reported soon.
func (d *Daemon) Hurry() {
	d.polling = health.Polling{Interval: 50 * time.Millisecond, Patience: 200 * time.Millisecond}
}
