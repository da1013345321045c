// SPDX-License-Identifier: Apache-2.0

package daemon

import "time"

// Hurry has health asked for often, and what it shows told at once.
func (d *Daemon) Hurry() {
	d.looking = looking{interval: 50 * time.Millisecond, patience: 200 * time.Millisecond}
}
